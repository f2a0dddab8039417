"""What torch.export writes as JSON (torch/_export/serde/schema.py, version 8), as far as plain networks need it.

A field that isn't here is refused: custom objects, tokens, operators as values, and whatever a later torch adds.
Names are identifiers, because torch writes Python out of them.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from app.core.schemas import Schema
from app.core.uploads.exported_program_expressions import SYMBOL, checked_expression, checked_guard
from app.core.uploads.exported_program_operators import checked_target
from app.core.uploads.exported_program_trees import checked_input_tree, checked_output_tree

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,254}$")]
Path = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@]{0,512}$")]
Symbol = Annotated[str, Field(pattern=f"^{SYMBOL.pattern}$")]
Real = float | Literal["Infinity", "-Infinity", "NaN"]
DtypeCode = Annotated[int, Field(ge=1, le=64)]


class OneOf(Schema):
    """torch's tagged unions: an object with one key."""

    @model_validator(mode="after")
    def _has_one_key(self) -> "OneOf":
        if len(self.model_fields_set) != 1:
            raise ValueError("one key is expected")
        return self


class Device(Schema):
    type: Literal["cpu"]
    index: int | None = None


class Hint(OneOf):
    as_int: int = 0
    as_bool: bool = False
    as_float: Real = 0.0


class Expression(Schema):
    expr_str: Annotated[str, AfterValidator(checked_expression)]
    hint: Hint | None = None


class SymInt(OneOf):
    as_expr: Expression | None = None
    as_int: int | None = None


class SymFloat(OneOf):
    as_expr: Expression | None = None
    as_float: Real | None = None


class SymBool(OneOf):
    as_expr: Expression | None = None
    as_bool: bool | None = None


class TensorMeta(Schema):
    dtype: DtypeCode
    sizes: tuple[SymInt, ...]
    requires_grad: bool
    device: Device
    strides: tuple[SymInt, ...]
    storage_offset: SymInt
    layout: Literal[7]


class Named(Schema):
    name: Name


class SymIntArgument(OneOf):
    as_name: Name = "_"
    as_int: int = 0


class SymFloatArgument(OneOf):
    as_name: Name = "_"
    as_float: Real = 0.0


class SymBoolArgument(OneOf):
    as_name: Name = "_"
    as_bool: bool = False


class OptionalTensor(OneOf):
    as_tensor: Named | None = None
    as_none: bool = True


class GraphArgument(Schema):
    name: Name
    graph: "Graph"


class Complex(Schema):
    real: Real
    imag: Real


class Argument(OneOf):
    as_none: bool | None = None
    as_tensor: Named | None = None
    as_tensors: tuple[Named, ...] | None = None
    as_int: int | None = None
    as_ints: tuple[int, ...] | None = None
    as_float: Real | None = None
    as_floats: tuple[Real, ...] | None = None
    as_string: str | None = None
    as_strings: tuple[str, ...] | None = None
    as_sym_int: SymIntArgument | None = None
    as_sym_ints: tuple[SymIntArgument, ...] | None = None
    as_scalar_type: DtypeCode | None = None
    as_memory_format: Annotated[int, Field(ge=1, le=4)] | None = None
    as_layout: Literal[7] | None = None
    as_device: Device | None = None
    as_bool: bool | None = None
    as_bools: tuple[bool, ...] | None = None
    as_sym_bool: SymBoolArgument | None = None
    as_sym_bools: tuple[SymBoolArgument, ...] | None = None
    as_graph: GraphArgument | None = None
    as_optional_tensors: tuple[OptionalTensor, ...] | None = None
    as_sym_float: SymFloatArgument | None = None
    as_sym_floats: tuple[SymFloatArgument, ...] | None = None
    as_optional_tensor: OptionalTensor | None = None
    as_complex: Complex | None = None
    as_nested_tensors: tuple[tuple[Named, ...], ...] | None = None
    as_int_lists: tuple[tuple[int, ...], ...] | None = None
    as_float_lists: tuple[tuple[Real, ...], ...] | None = None


class NamedArgument(Schema):
    name: Name | Literal[""]
    arg: Argument
    kind: Literal[0, 1, 2] | None = None


class Node(Schema):
    target: Annotated[str, AfterValidator(checked_target)]
    inputs: tuple[NamedArgument, ...]
    outputs: tuple[Argument, ...]
    metadata: dict[str, str]
    is_hop_single_tensor_return: bool | None = None
    name: Name | None = None


class Graph(Schema):
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    nodes: tuple[Node, ...]
    tensor_values: dict[Name, TensorMeta]
    sym_int_values: dict[Name, SymInt]
    sym_bool_values: dict[Name, SymBool]
    is_single_tensor_return: bool = False
    custom_obj_values: dict[Name, None] = Field({}, max_length=0)
    sym_float_values: dict[Name, SymFloat] = {}


class UserInput(Schema):
    arg: Argument


class ConstantValue(OneOf):
    as_none: bool | None = None
    as_int: int | None = None
    as_float: Real | None = None
    as_string: str | None = None
    as_bool: bool | None = None


class ConstantInput(Schema):
    name: Name
    value: ConstantValue


class ParameterInput(Schema):
    arg: Named
    parameter_name: Path


class BufferInput(Schema):
    arg: Named
    buffer_name: Path
    persistent: bool


class ConstantTensorInput(Schema):
    arg: Named
    tensor_constant_name: Path


class Input(OneOf):
    user_input: UserInput | None = None
    parameter: ParameterInput | None = None
    buffer: BufferInput | None = None
    tensor_constant: ConstantTensorInput | None = None
    constant_input: ConstantInput | None = None


class BufferOutput(Schema):
    arg: Named
    buffer_name: Path


class UserInputOutput(Schema):
    arg: Named
    user_input_name: Name


class Output(OneOf):
    user_output: UserInput | None = None
    buffer_mutation: BufferOutput | None = None
    user_input_mutation: UserInputOutput | None = None


class Signature(Schema):
    input_specs: tuple[Input, ...]
    output_specs: tuple[Output, ...]


class Range(Schema):
    min_val: int | None
    max_val: int | None


class CallSignature(Schema):
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    in_spec: Annotated[str, AfterValidator(checked_input_tree)]
    out_spec: Annotated[str, AfterValidator(checked_output_tree)]
    forward_arg_names: tuple[Name, ...] | None = None


class Call(Schema):
    fqn: Path
    signature: CallSignature | None = None


class NamedTupleFields(Schema):
    field_names: tuple[Name, ...]


class GraphModule(Schema):
    graph: Graph
    signature: Signature
    module_call_graph: tuple[Call, ...]
    metadata: dict[str, str] = {}
    treespec_namedtuple_fields: dict[str, NamedTupleFields] = {}


class SchemaVersion(Schema):
    major: Literal[8]
    minor: int


class Program(Schema):
    """`models/model.json`."""

    graph_module: GraphModule
    opset_version: dict[str, int]
    range_constraints: dict[Symbol, Range]
    schema_version: SchemaVersion
    verifiers: tuple[Literal["TRAINING", "ATEN", "EDGE", ""], ...] = ()
    torch_version: str = ""
    guards_code: tuple[Annotated[str, AfterValidator(checked_guard)], ...] = ()


class Payload(Schema):
    """A tensor in a record of its own. `use_pickle` means that torch would unpickle the record."""

    path_name: str
    is_param: bool
    use_pickle: Literal[False]
    tensor_meta: TensorMeta


class Payloads(Schema):
    """`data/weights/model_weights_config.json`, and the same of the constants."""

    config: dict[Path, Payload]

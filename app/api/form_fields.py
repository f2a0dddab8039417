"""What stands in a form beside its files: how it is described, and how it is read."""

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from app.api.multipart import Form, ReceivedFile
from app.api.strict_json import read_as
from app.api.validation import validation_problem
from app.core.architectures import ARCHITECTURE
from app.core.datasets import DatasetUpload
from app.core.errors import Invalid
from app.core.images import IMAGE_TRANSFORM
from app.core.inputs import INPUTS
from app.core.models import ModelUpload

_NAME: TypeAdapter[str] = TypeAdapter(Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")])

EXAMPLE_TRANSFORM = '{"size": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'
EXAMPLE_INPUTS = '[{"name": "x", "shape": ["batch", 1, 28, 28], "dtype": "float32"}]'


def file_schema(description: str) -> dict[str, Any]:
    """Both ways of saying that it is a file: OpenAPI 3.1's, and the one that form pages look for."""
    return {
        "type": "string",
        "format": "binary",
        "contentMediaType": "application/octet-stream",
        "description": description,
    }


def json_schema(name: str, description: str, **more: Any) -> dict[str, Any]:
    """A text field that holds JSON of the component `name`. With a media type, form pages would ask for a file."""
    return {
        "type": "string",
        "contentSchema": {"$ref": f"#/components/schemas/{name}"},
        "description": description,
        **more,
    }


NAME_FIELD = {"type": "string", "maxLength": 200, "description": "Left out: the file's name.", "examples": ["digits"]}
INPUTS_FIELD = json_schema(
    "Inputs",
    "JSON: name, shape and type of each input. A string in a shape is a free dimension, the first one the batch. "
    "Left out, they are taken from the data set, or guessed from the first layer.",
    examples=[EXAMPLE_INPUTS],
)
ARCHITECTURE_FIELD = json_schema(
    "Architecture",
    "JSON: the network that a state dict's weights belong to; TorchScript needs none. Layers of torch.nn, for example "
    '`{"source": "layers", "layers": [{"type": "Flatten"}, {"type": "Linear", "name": "fc", "in_features": 784, '
    '"out_features": 10}]}`; or a config.json of the transformers library, `{"source": "transformers", "config": '
    '{"model_type": "bert", …}}`; or the network of an earlier upload, `{"source": "model", "model": "model_…"}`; or '
    'the network.json that this service wrote beside the weights, `{"source": "network", "network": {…}}`. Left '
    "out, it is taken from an earlier upload of yours whose tensors have the same names and shapes, if there is one.",
    examples=[""],
)


TRANSFORM_FIELD = json_schema(
    "ImageTransform",
    "JSON, for images alone: the size to which each one is resized, and the mean and standard deviation of its values.",
    examples=[""],
)
DATASET_FILE = (
    "Arrays as `.npz` or `.safetensors`: `x_train`, `y_train`, `x_test`, `y_test`, or `x` and `y`, which are split "
    "80/20. `y` may be left out. A model with several inputs takes `x_train.NAME`. Or a `.zip` of images, PNG or JPEG, "
    "in folders: `train/CLASS/NAME.png` and `test/CLASS/NAME.png`; without `test` they are split 80/20."
)


def form_body(required: tuple[str, ...], properties: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    """A route's `content` for multipart/form-data."""
    schema = {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }
    return {"multipart/form-data": {"schema": schema, "examples": examples}}


def read_model_upload(form: Form) -> ModelUpload:
    """An empty field counts as left out, since a form page sends it so."""
    inputs = form.fields.get("inputs")
    architecture = form.fields.get("architecture")
    return ModelUpload(
        name=read_name(form, form.file),
        architecture=read_as(ARCHITECTURE, architecture, ("architecture",)) if architecture else None,
        inputs=read_as(INPUTS, inputs, ("inputs",)) if inputs else None,
    )


def read_dataset_upload(form: Form, file: ReceivedFile) -> DatasetUpload:
    transform = form.fields.get("transform")
    return DatasetUpload(
        name=read_name(form, file),
        transform=read_as(IMAGE_TRANSFORM, transform, ("transform",)) if transform else None,
    )


def read_name(form: Form, file: ReceivedFile) -> str:
    given = form.fields.get("name")
    if not given:
        return PurePosixPath(file.file_name).stem or "unnamed"
    try:
        return _NAME.validate_python(given.decode())
    except UnicodeDecodeError as error:
        raise Invalid("The form's field `name` is not UTF-8. Send it as UTF-8.", code="invalid_request") from error
    except ValidationError as error:
        raise validation_problem(error.errors(), None, ("name",)) from error

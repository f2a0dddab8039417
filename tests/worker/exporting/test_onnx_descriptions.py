"""What an ONNX file says of itself: read from the file."""

import json
from importlib.metadata import version
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from app.core.job_files import ModelFile
from app.core.recipes import DynamicQuantization, FloatCasting, StaticQuantization, Step, WeightQuantization
from tests.worker.jobs import compress, file_of, inspected, job_folder
from tests.worker.networks import NETWORKS
from worker.exporting.onnx import layer_of
from worker.exporting.onnx_description import number_values

UPLOAD = "ab" * 32
STEPS: dict[str, tuple[Step, ...]] = {
    "none": (),
    "static": (StaticQuantization(),),
    "dynamic": (DynamicQuantization(),),
    "casting": (FloatCasting(),),
    "hqq": (WeightQuantization(bits=4, method="hqq"),),
    "two": (WeightQuantization(bits=4, only=("head.*",)), DynamicQuantization(only=("lstm",))),
}


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelFile]:
    folder = job_folder(tmp_path_factory.mktemp("described") / "job", NETWORKS["every_kind"])
    return folder, inspected(folder)[0].model_copy(update={"sha256": UPLOAD})


@pytest.fixture(scope="module", params=STEPS)
def described(request: pytest.FixtureRequest, upload: tuple[Path, ModelFile]) -> tuple[str, onnx.ModelProto]:
    folder, model = upload
    compression = compress(folder, STEPS[request.param], model=model)
    return request.param, onnx.load(folder / file_of(compression, "model.onnx").path)


def test_it_says_what_it_was_made_of_and_how(described: tuple[str, onnx.ModelProto]) -> None:
    steps, model = described
    said = {each.key: each.value for each in model.metadata_props}
    assert said["upload_sha256"] == UPLOAD
    assert json.loads(said["recipe"]) == {"steps": [step.model_dump(mode="json") for step in STEPS[steps]]}
    versions = json.loads(said["versions"])
    assert versions["onnxruntime"] == version("onnxruntime")
    assert versions.keys() == {"modelpress", "torch", "onnx", "onnxruntime"}
    assert next(each.version for each in model.opset_import if not each.domain) == 18


def following_from_inputs(graph: onnx.GraphProto) -> set[str]:
    following = {each.name for each in graph.input}
    for node in graph.node:
        following |= set(filter(None, node.output)) if following & set(node.input) else set()
    return following


def test_the_shape_of_every_value_is_beside_it(described: tuple[str, onnx.ModelProto]) -> None:
    """What weights are unpacked by is no value of the network."""
    graph = described[1].graph
    kept = (*graph.input, *graph.value_info, *graph.output)
    assert {each.name for each in kept if each.type.tensor_type.HasField("shape")} == following_from_inputs(graph)


def test_constants_are_written_once(described: tuple[str, onnx.ModelProto]) -> None:
    constants = [node for node in described[1].graph.node if node.op_type == "Constant"]
    assert len({node.attribute[0].SerializeToString() for node in constants}) == len(constants)


def test_what_the_network_has_no_name_for_is_numbered(described: tuple[str, onnx.ModelProto]) -> None:
    graph = described[1].graph
    assert not [each.name for each in graph.initializer if "onnx::" in each.name]
    assert any(layer_of(node) == "head.0" for node in graph.node)


def test_the_batch_stays_free_in_it(described: tuple[str, onnx.ModelProto]) -> None:
    graph = described[1].graph
    for each in (*graph.input, *graph.output):
        assert each.type.tensor_type.shape.dim[0].dim_param == "batch"
    sizes = {each.name: each.type.tensor_type.shape.dim for each in graph.value_info}
    seen_by_the_exporter = 2
    assert not any(size[0].dim_value == seen_by_the_exporter for size in sizes.values() if len(size) > 1)


def test_values_of_a_graph_with_branches_keep_the_names_that_those_read() -> None:
    made = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Neg", ["between"], ["answer"])], "branch", [], [made])
    taken = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch"]),
        helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
    ]
    nodes = [
        helper.make_node("Abs", ["x"], ["between"]),
        helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch),
    ]
    answers = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch"])]
    model = helper.make_model(helper.make_graph(nodes, "graph", taken, answers))
    number_values(model)
    assert model.graph.node[0].output[0] == "between"

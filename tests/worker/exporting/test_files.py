"""What the written files promise to those who only have the files."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from app.core.inputs import InputSpec
from app.core.job_files import ModelFile
from app.core.recipes import MagnitudePruning
from app.core.recipes.base import EVERY_FORMAT
from app.core.tasks import InspectModel
from tests.worker.jobs import MODEL, compress, file_of, job_folder, silent
from tests.worker.networks import NETWORKS
from worker.pipeline import perform

PRUNING = MagnitudePruning(sparsity=0.3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = job_folder(tmp_path_factory.mktemp("files") / "job", NETWORKS["every_kind"])
    compress(folder, (PRUNING,), outputs=EVERY_FORMAT)
    return folder / "outputs"


@pytest.fixture(scope="module")
def model(folder: Path) -> onnx.ModelProto:
    return onnx.load(folder / "model.onnx")


def test_onnx_keeps_the_inputs_name_and_frees_the_batch(model: onnx.ModelProto) -> None:
    (taken,) = model.graph.input
    assert taken.name == "images"
    assert [d.dim_param or d.dim_value for d in taken.type.tensor_type.shape.dim] == ["batch", 3, 12, 12]


def test_onnx_says_what_made_it(model: onnx.ModelProto) -> None:
    properties = {each.key: each.value for each in model.metadata_props}
    assert json.loads(properties["recipe"]) == {"steps": [PRUNING.model_dump(mode="json")]}
    assert model.producer_name == "modelpress"
    assert model.opset_import[0].version == 18


def test_onnx_names_its_nodes_after_layers(model: onnx.ModelProto) -> None:
    names = [node.name for node in model.graph.node]
    assert "/stem/conv1/Conv" in names
    assert "/head/0/Gemm" in names


def test_onnx_passes_its_own_checker(folder: Path) -> None:
    onnx.checker.check_model(folder / "model.onnx", full_check=True)


def test_no_file_is_left_that_no_one_asked_for(folder: Path) -> None:
    """But for a checkpoint, which is only written where a step has taken long."""
    assert {path.name for path in folder.iterdir() if not path.name.startswith("checkpoint-")} == {
        "load_network.py",
        "model.onnx",
        "model.openvino.zip",
        "model.pt2",
        "model.safetensors",
        "model.torchscript.pt",
        "network.json",
        "model.pt.probe.npz",
        "model.onnx.probe.npz",
        "uncompressed.onnx",
        "uncompressed.openvino.zip",
        "uncompressed.pt2",
        "uncompressed.torchscript.pt",
    }


def test_a_state_dict_is_rebuilt_by_torch_alone(folder: Path) -> None:
    """Three lines, in a process that can't see this project, beside nothing but the three files."""
    script = (
        "import numpy, sys\n"
        "from load_network import load_network\n"
        "network = load_network('network.json', 'model.safetensors')\n"
        "probe = numpy.load('model.onnx.probe.npz')\n"
        "import torch\n"
        "answer = network(torch.from_numpy(probe['input.images']))\n"
        "assert 'worker' not in sys.modules\n"
        "assert all(parameter.requires_grad for parameter in network.parameters())\n"
        "print(float((answer - torch.from_numpy(probe['output.0'])).abs().max()))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.')\n{script}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < 1e-5


def test_files_that_run_by_themselves_take_any_batch(folder: Path) -> None:
    archive = torch.jit.load(folder / "model.torchscript.pt")
    program = torch.export.load(folder / "model.pt2").module()
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    for batch in (1, 6):
        images = NETWORKS["every_kind"].inputs(batch)
        with torch.no_grad():
            expected = archive(images).numpy()
            exported = program(images).numpy()
        assert np.abs(exported - expected).max() < 1e-5
        (answer,) = session.run(None, {"images": images.numpy()})
        assert answer.shape == (batch, 4)
        assert np.abs(answer - expected).max() < 1e-5


class TwoInputsTwoOutputs(nn.Module):
    """Tied weights, a buffer, a stray parameter, integers, a slice and a mask: what a description must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.fc = nn.Linear(8, 20, bias=False)
        self.fc.weight = self.embedding.weight
        self.scale = nn.Parameter(torch.full((8,), 0.5))
        self.register_buffer("shift", torch.arange(8.0))

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        x = self.embedding(ids[:, :-1]) * self.scale + self.shift
        x = x.masked_fill(mask.unsqueeze(-1), float("-1"))
        return self.fc(x.mean(dim=1)), x.sum(dim=(1, 2))


@pytest.fixture(scope="module")
def pair_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    (folder / "inputs").mkdir()
    (folder / "outputs").mkdir()
    torch.manual_seed(0)
    torch.jit.save(torch.jit.script(TwoInputsTwoOutputs().eval()), str(folder / MODEL))
    inputs = (
        InputSpec(name="ids", shape=("batch", "time"), dtype="int64", low=0, high=20, ranges={"time": (2, 64)}),
        InputSpec(name="mask", shape=("batch", 15), dtype="bool"),
    )
    given = ModelFile(
        path=MODEL,
        format="torchscript",
        inputs=(inputs[0].model_copy(update={"shape": ("batch", 16), "ranges": {}}), inputs[1]),
    )
    answer = perform(InspectModel(model=given), folder, silent)
    model = given.model_copy(update={"inputs": answer.inputs, "inputs_from": "given"})
    compress(folder, (PRUNING,), outputs=EVERY_FORMAT, model=model, with_data=False)
    return folder / "outputs"


def test_an_exported_program_holds_no_pickle_and_nothing_of_the_machine_that_wrote_it(folder: Path) -> None:
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        contents = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    assert contents["data/sample_inputs/model.pt"] == b""
    for word in (b"stack_trace", b"graph_id", str(Path.cwd()).encode()):
        assert word not in contents["models/model.json"]


def test_several_inputs_and_outputs_survive_in_every_format(pair_folder: Path) -> None:
    from worker.exporting.load_network import load_network

    probe = np.load(pair_folder / "model.onnx.probe.npz")
    ids, mask = torch.from_numpy(probe["input.ids"]), torch.from_numpy(probe["input.mask"])
    rebuilt = load_network(pair_folder / "network.json", pair_folder / "model.safetensors")
    archive = torch.jit.load(pair_folder / "model.torchscript.pt")
    program = torch.export.load(pair_folder / "model.pt2").module()
    session = onnxruntime.InferenceSession(pair_folder / "model.onnx")
    onnx_answers = map(torch.from_numpy, session.run(None, {n: probe[f"input.{n}"] for n in ("ids", "mask")}))
    with torch.no_grad():
        for answers in (rebuilt(ids, mask), archive(ids, mask), program(ids, mask), onnx_answers):
            for number, answer in enumerate(answers):
                assert np.abs(answer.numpy() - probe[f"output.{number}"]).max() < 1e-4


def test_tied_weights_are_stored_once_and_stay_tied(pair_folder: Path) -> None:
    from safetensors import safe_open

    from worker.exporting.load_network import load_network

    with safe_open(pair_folder / "model.safetensors", framework="pt") as file:
        assert sum(file.get_slice(name).get_shape() == [20, 8] for name in file.keys()) == 1  # noqa: SIM118
    network = load_network(pair_folder / "network.json", pair_folder / "model.safetensors")
    assert network.get_parameter("fc.weight") is network.get_parameter("embedding.weight")


def test_a_state_dict_has_the_uploads_names(tmp_path: Path) -> None:
    example = NETWORKS["residual"]
    folder = job_folder(tmp_path / "job", example)
    compress(folder, (), outputs=("state_dict",))
    from safetensors.torch import load_file

    weights = load_file(folder / "outputs" / "model.safetensors")
    assert set(weights) == set(example.network().state_dict())


def test_an_upload_is_traced_where_it_is_a_state_dict(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    (tmp_path / "inputs").mkdir()
    (tmp_path / "outputs").mkdir()
    save_file({"0.weight": torch.ones(2, 3), "0.bias": torch.zeros(2)}, tmp_path / "inputs" / "model.safetensors")
    model = ModelFile.model_validate(
        {
            "path": "inputs/model.safetensors",
            "format": "safetensors",
            "architecture": {"source": "layers", "layers": [{"type": "Linear", "in_features": 3, "out_features": 2}]},
        }
    )
    answer = perform(InspectModel(model=model), tmp_path, silent)
    assert answer.inputs_from == "guessed"
    model = model.model_copy(update={"inputs": answer.inputs, "inputs_from": answer.inputs_from})
    compression = compress(tmp_path, (), model=model, with_data=False)
    upload = file_of(compression, "upload.torchscript.pt")
    assert (upload.role, upload.path) == ("upload", "outputs/upload.torchscript.pt")
    assert torch.jit.load(tmp_path / upload.path)(torch.ones(4, 3)).tolist() == [[3.0, 3.0]] * 4
    assert any("guessed" in warning for warning in compression.warnings)

"""Programs of torch.export become networks that take any batch, and nothing in them runs but their operators."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from app.core.errors import Invalid
from app.core.inputs import InputSpec
from app.core.job_files import ModelFile
from app.core.recipes import MagnitudePruning
from app.core.tasks import InspectModel
from app.core.uploads import read_model
from tests.core.uploads.pickle_builder import MARK, MARKER, MARKING, torch_zip
from tests.core.uploads.program_builder import exported_program, model
from tests.worker.jobs import compress, file_of, job_folder, silent
from tests.worker.networks import NETWORKS
from worker.loading import load_network
from worker.loading.exported_programs import load_program
from worker.network import Network
from worker.pipeline import perform

pytestmark = [
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The tensor attributes self.*_flat_weights:UserWarning"),
]
PATH = "model.pt2"


def exported(folder: Path, network: nn.Module, *example: Any, sizes: Any = None, **named: Any) -> None:
    (folder / "inputs").mkdir()
    program = torch.export.export(network.eval(), example, named, dynamic_shapes=sizes)
    torch.export.save(program, folder / "inputs" / PATH)


def loaded(folder: Path, **given: Any) -> Network:
    return load_network(ModelFile(path=f"inputs/{PATH}", format="exported_program", **given), folder, None)


class Tokens(nn.Module):
    """A sequence of any length, a constant among its inputs, one input by name."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.conv = nn.Conv1d(6, 4, 2)
        self.head = nn.Linear(4, 3)

    def forward(self, ids: Tensor, scale: float, mask: Tensor) -> dict[str, Tensor]:
        features = self.conv((self.embedding(ids) * mask.unsqueeze(-1)).transpose(1, 2))
        return {"logits": self.head(features.amax(-1)) * scale}


def tokens(folder: Path) -> Tokens:
    torch.manual_seed(0)
    network, time = Tokens(), Dim("time", min=4, max=64)
    free = {0: Dim("batch"), 1: time}
    exported(
        folder,
        network,
        torch.ones(2, 8, dtype=torch.int64),
        2.0,
        mask=torch.ones(2, 8),
        sizes={"ids": free, "scale": None, "mask": free},
    )
    return network


def test_the_file_says_what_the_network_takes(tmp_path: Path) -> None:
    tokens(tmp_path)
    ids, mask = loaded(tmp_path).inputs
    (time,) = ids.ranges
    assert ids == InputSpec(name="ids", shape=("batch", time), dtype="int64", low=0, high=20, ranges={time: (4, 64)})
    assert mask == InputSpec(name="mask", shape=("batch", time), ranges={time: (4, 64)})


def test_every_free_size_stays_free_and_the_layers_are_the_sources(tmp_path: Path) -> None:
    source = tokens(tmp_path)
    network = loaded(tmp_path)
    assert set(network.module.state_dict()) == set(source.state_dict())
    assert isinstance(network.module.get_submodule("conv"), nn.Conv1d)
    for batch, time in ((1, 5), (7, 12)):
        ids, mask = torch.randint(0, 20, (batch, time)), torch.rand(batch, time)
        (answer,) = network.run(ids, mask)
        assert torch.allclose(answer, source(ids, 2.0, mask)["logits"], atol=1e-6)
    assert network.warnings == ()


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_becomes_free_and_that_is_said(tmp_path: Path, batch: int) -> None:
    class Flattened(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 2, 3), nn.Linear(18, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.conv(x).view(x.shape[0], -1))

    source = Flattened()
    exported(tmp_path, source, torch.ones(batch, 1, 5, 5))
    network = loaded(tmp_path)
    images = torch.randn(4, 1, 5, 5)
    assert torch.allclose(network.run(images)[0], source(images), atol=1e-6)
    (warning,) = network.warnings
    assert f"a batch of {batch} only" in warning


def test_a_fixed_batch_that_can_not_become_free_is_refused(tmp_path: Path) -> None:
    class Centred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x - x.mean(0))

    exported(tmp_path, Centred(), torch.ones(2, 4))
    with pytest.raises(Invalid, match="dynamic_shapes") as refused:
        loaded(tmp_path)
    assert refused.value.code == "batch_is_fixed"


def test_half_precision_is_widened(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).to(torch.bfloat16)
    exported(tmp_path, network, torch.ones(2, 4, dtype=torch.bfloat16), sizes=({0: Dim("batch")},))
    widened = loaded(tmp_path)
    assert widened.widened
    assert any("half precision" in warning for warning in widened.warnings)
    assert widened.run(torch.ones(3, 4))[0].dtype is torch.float32


def test_inputs_may_be_given(tmp_path: Path) -> None:
    exported(tmp_path, nn.Linear(4, 3), torch.ones(2, 4))
    given = (InputSpec(name="features", shape=("rows", 4)),)
    assert loaded(tmp_path, inputs=given).inputs == given


@pytest.mark.parametrize(
    "content",
    [
        exported_program(examples=torch_zip(MARKING)),
        exported_program(model(guards_code=[f"__import__('os').system({MARK!r})"])),
    ],
    ids=["examples", "guards"],
)
def test_neither_example_inputs_nor_guards_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """The static check refuses both; this stands behind it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / PATH).write_bytes(content)
    network = load_program(tmp_path / PATH)
    assert network(torch.tensor([[2.0, 3.0]]))[0].tolist() == [[2.0, 3.0]]
    assert not (tmp_path / MARKER).exists()


def test_what_torch_can_not_open_is_refused(tmp_path: Path) -> None:
    described = model()
    described["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.mul.NoSuchOverload"
    (tmp_path / PATH).write_bytes(exported_program(described))
    with pytest.raises(Invalid) as refused:
        load_program(tmp_path / PATH)
    assert refused.value.code == "load_failed"


@pytest.mark.parametrize("name", ["cnn", "transformer", "every_kind"])
def test_what_was_compressed_can_be_compressed_again(tmp_path: Path, name: str) -> None:
    example = NETWORKS[name]
    first = job_folder(tmp_path / "first", example)
    compress(first, (MagnitudePruning(sparsity=0.3),), outputs=("exported_program",))
    again = tmp_path / "again"
    for part in ("inputs", "outputs"):
        (again / part).mkdir(parents=True)
    shutil.copy(first / "outputs" / "model.pt2", again / "inputs" / PATH)
    assert read_model(again / "inputs" / PATH, PATH).format == "exported_program"
    given = ModelFile(path=f"inputs/{PATH}", format="exported_program")
    found = perform(InspectModel(model=given), again, silent)
    assert (found.facts.editable, found.inputs_from) == ("whole", "given")
    described = given.model_copy(update={"inputs": found.inputs, "inputs_from": found.inputs_from})
    compression = compress(again, (), outputs=("exported_program",), model=described, with_data=False)
    assert file_of(compression, "upload.torchscript.pt").role == "upload"
    inputs = example.inputs(3)
    twice = torch.export.load(again / "outputs" / "model.pt2").module()(inputs)
    once = torch.export.load(first / "outputs" / "model.pt2").module()(inputs)
    assert torch.allclose(twice, once, atol=1e-5)

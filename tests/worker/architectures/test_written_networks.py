"""A state dict that this service wrote becomes a network again, by the network.json beside it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import nn

from app.core.architectures import ARCHITECTURE
from app.core.errors import Invalid
from app.core.facts import ModelInspection
from app.core.inputs import INPUTS, tensor_inputs
from app.core.job_files import ModelFile
from app.core.tasks import InspectModel
from tests.worker.importing.archives import archive_of
from tests.worker.importing.networks import CASES, Case
from tests.worker.jobs import MODEL, silent
from worker.exporting import export
from worker.inputs import random_inputs
from worker.loading import load_network
from worker.loading.torchscript import lift_archive
from worker.network import Network
from worker.pipeline import perform

pytestmark = pytest.mark.filterwarnings("ignore")
Description = dict[str, Any]
SOME = [
    case for case in CASES if case.name in ("residual", "gru", "cells", "transformer", "tied", "indexing", "in place")
]


def inputs_of(case: Case) -> list[dict[str, Any]]:
    kind = {"dtype": "int64", "low": 1, "high": case.tokens} if case.tokens else {}
    return [{"name": f"x{n}", "shape": ["batch", *shape], **kind} for n, shape in enumerate(case.shapes)]


def written(folder: Path, case: Case) -> tuple[Network, Description]:
    """The network of the case, its weights at `MODEL`, and its network.json."""
    for name in ("inputs", "outputs"):
        (folder / name).mkdir()
    torch.manual_seed(0)
    inputs = tensor_inputs(INPUTS.validate_python(inputs_of(case)))
    archive = archive_of(case.build().eval(), case, "trace")
    network = Network(lift_archive(archive, inputs).module, inputs)
    description, _ = export(network, "state_dict", folder / MODEL)
    return network, json.loads(description.read_text())


def read(folder: Path, description: Description) -> ModelFile:
    architecture = ARCHITECTURE.validate_python({"source": "network", "network": description})
    fields = {"path": MODEL, "format": "safetensors", "architecture": architecture, "inputs": description["inputs"]}
    return ModelFile.model_validate(fields)


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_it_answers_as_it_did_and_can_be_edited(tmp_path: Path, case: Case) -> None:
    network, description = written(tmp_path, case)
    model = read(tmp_path, description)
    found = perform(InspectModel(model=model), tmp_path, silent)
    assert isinstance(found, ModelInspection)
    assert found.facts.editable == "whole"
    again = load_network(model, tmp_path, None)
    examples = random_inputs(network.inputs, 3, seed=1)
    for answer, expected in zip(again.run(*examples), network.run(*examples), strict=True):
        torch.testing.assert_close(answer, expected)
    assert {name for name, _ in again.module.named_parameters()} == {n for n, _ in network.module.named_parameters()}


def test_tensors_have_the_names_of_the_upload(tmp_path: Path) -> None:
    case = next(case for case in SOME if case.name == "transformer")
    written(tmp_path, case)
    source = case.build()
    assert "encoder.layers.0.self_attn.in_proj_weight" in source.state_dict()
    assert load_file(tmp_path / MODEL).keys() == source.state_dict().keys()


def test_weights_of_another_network_are_refused_by_their_names(tmp_path: Path) -> None:
    _, description = written(tmp_path, SOME[0])
    weights = load_file(tmp_path / MODEL)
    name = next(iter(weights))
    save_file({**weights, name: torch.zeros(3)}, tmp_path / MODEL)
    with pytest.raises(Invalid, match=name) as caught:
        load_network(read(tmp_path, description), tmp_path, None)
    assert caught.value.code == "weights_do_not_fit"


def call(target: str, **more: Any) -> Description:
    return {"op": "call_function", "name": "harm", "target": target, "args": [], "kwargs": {}, **more}


HARMFUL = {
    "a function outside torch": call("os.system"),
    "a function that loads": call("torch.load"),
    "a function that writes": call("torch.save"),
    "a function of another module": call("torch.hub.load"),
    "an attribute": call("builtins.getattr"),
    "an operator on storage": call("torch.ops.aten.set_.source_Storage"),
    "an operator of another namespace": call("torch.ops.inductor.resize.default"),
    "a method that isn't one": call("__reduce__", op="call_method"),
    "code in a name": call("torch.relu", name="x=__import__('os')"),
    "code in an argument's name": call("torch.relu", kwargs={"x=print(1)": 1}),
    "code in a path": call('a", print(1), "', op="get_attr"),
    "code in an input": call("x=print(1)", op="placeholder"),
    "an object that isn't one": call("torch.relu", args=[{"torch": "load"}]),
    "a value of two kinds": call("torch.relu", args=[{"torch": "bool", "float": "inf"}]),
    "a value that nests without end": call("torch.relu", args=[json.loads('{"tuple": [' * 40 + "1" + "]}" * 40)]),
    "a device that isn't here": call("torch.relu", args=[{"device": "cuda"}]),
    "half a slice": call("torch.relu", args=[{"slice": [1]}]),
    "a dict without names": call("torch.relu", args=[{"dict": [1]}]),
}
BROKEN: dict[str, Description] = {
    "a class that isn't there": {"layers": [{"name": "a", "class": "Nothing", "arguments": {}}]},
    "a class that is no layer": {"layers": [{"name": "a", "class": "Parameter", "arguments": {}}]},
    "an argument that isn't there": {"layers": [{"name": "a", "class": "ReLU", "arguments": {"weights": "x"}}]},
    "a layer without end": {"layers": [{"name": "a", "class": "LSTM", "arguments": {"input_size": 1, "hidden_size": 1,
                                                                                 "num_layers": 1 << 20}}]},
    "an argument that can't be": {"layers": [{"name": "a", "class": "Conv2d", "arguments": {
        "in_channels": 1, "out_channels": 1, "kernel_size": "wide"}}]},
    "a tie to nothing": {"tied": {"here": "there"}},
    "a reader of nothing": {"graph": [call("torch.relu", args=[{"node": "missing"}])]},
    "a layer that isn't there": {"graph": [call("missing", op="call_module")]},
}  # fmt: skip
EMPTY: Description = {
    "format_version": 1, "inputs": [{"name": "x", "shape": ["batch", 2]}], "layers": [], "tensors": [], "tied": {},
    "graph": [
        {"op": "placeholder", "name": "x", "target": "x", "args": [], "kwargs": {}},
        {"op": "output", "name": "output", "target": "output", "args": [{"node": "x"}], "kwargs": {}},
    ],
}  # fmt: skip


@pytest.mark.parametrize("what", HARMFUL)
def test_what_no_network_needs_is_refused_before_torch_sees_it(what: str) -> None:
    ARCHITECTURE.validate_python({"source": "network", "network": EMPTY})
    with pytest.raises(ValidationError):
        ARCHITECTURE.validate_python({"source": "network", "network": {**EMPTY, "graph": [HARMFUL[what]]}})


@pytest.mark.parametrize("what", BROKEN)
def test_what_describes_no_network_is_malformed(tmp_path: Path, what: str) -> None:
    for name in ("inputs", "outputs"):
        (tmp_path / name).mkdir()
    save_file(nn.Linear(2, 2).state_dict(), tmp_path / MODEL)
    with pytest.raises(Invalid) as caught:
        load_network(read(tmp_path, {**EMPTY, **BROKEN[what]}), tmp_path, None)
    assert caught.value.code == "architecture_malformed"

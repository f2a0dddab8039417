"""Every format of every kind of network, in each precision that it holds, where nothing but the format's own runtime
can be imported: loaded as a report says, its answers compared with the network's."""

import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from torch import Tensor, nn

from app.core.measurements import OutputFormat
from app.core.recipes import (
    DynamicQuantization,
    FloatCasting,
    StaticQuantization,
    Step,
    WeightQuantization,
)
from app.core.reports.running import WAYS, loading, needed_packages
from app.core.wanted_files import SUFFIXES
from tests.worker.jobs import DATA, inspected, job_folder, silent
from tests.worker.networks import NETWORKS, Example
from worker.applying import applied
from worker.data import open_dataset
from worker.data_fit import fitting_data
from worker.exporting import export
from worker.loading import load_network
from worker.network import Network
from worker.run import Run

PRECISIONS: dict[str, Step | None] = {
    "float32": None,
    "float16": FloatCasting(),
    "bfloat16": FloatCasting(dtype="bfloat16"),
    "computed-in-bfloat16": FloatCasting(dtype="bfloat16", compute="bfloat16"),
    "float8": FloatCasting(dtype="float8_e4m3"),
    "int8-static": StaticQuantization(),
    "int8-dynamic": DynamicQuantization(),
    "int8-weights": WeightQuantization(),
    "int4-weights": WeightQuantization(bits=4, group_size=32),
    "codebooks": WeightQuantization(bits=4, method="kmeans"),
}
LEAST_COSINE = {"float32": 1 - 1e-6, "int4-weights": 0.95, "codebooks": 0.95}
RUNTIMES = ("app", "worker", "tests", "onnx", "onnxruntime", "openvino", "nncf", "torch", "safetensors", "transformers")


class Depthwise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Sequential(nn.Conv2d(3, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.wise = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.head = nn.Linear(16, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.wise(self.wide(images)).mean(dim=[2, 3]))


class GatedRecurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(6, 32, batch_first=True)
        self.head = nn.Linear(32, 4)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.gru(series)[0].mean(dim=1))


KINDS = {
    **{kind: NETWORKS[kind] for kind in ("mlp", "cnn", "residual", "lstm", "transformer")},
    "depthwise": Example(Depthwise, (3, 12, 12)),
    "gru": Example(GatedRecurrent, (10, 6)),
}


# Runs where it can import nothing of this project, nor another format's runtime.
CHILD = """
import importlib.abc, importlib.machinery, json, os, sys

class Refusing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    # torch looks whether some of them are there, and does without
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name in refused else None

    def exec_module(self, module):
        raise ImportError(f"{module.__name__} is out of reach")

refused, way, files = json.loads(sys.stdin.read())
sys.meta_path.insert(0, Refusing())
import numpy

def answer(file):
    os.chdir(file["folder"])
    sys.path.insert(0, file["folder"])
    probe = numpy.load(file["probe"])
    names = {}
    exec(f"import {', '.join(way['imports'])}", names)
    loaded = eval(file["load"], names)
    if way["session"]:
        feeds = {name: probe[f"input.{name}"] for name in eval(way["session"]["names"], names | {"session": loaded})}
        given = eval(way["session"]["run"].format(feeds="feeds"), names | {"session": loaded, "feeds": feeds})[0]
    else:
        torch = names["torch"]
        given = [torch.from_numpy(probe[name]) for name in probe.files if name.startswith("input.")]
        with torch.inference_mode():
            given = loaded(*given).numpy()
    given, wanted = given.astype("float64").ravel(), probe["output"].astype("float64").ravel()
    return given @ wanted / numpy.linalg.norm(given) / numpy.linalg.norm(wanted)

print(json.dumps({file["name"]: float(answer(file)) for file in files}))
"""


def network_of(example: Example, folder: Path) -> tuple[Network, Run]:
    job_folder(folder, example)
    model, _ = inspected(folder)
    dataset = open_dataset(folder, DATA)
    network = load_network(model, folder, dataset)
    return network, Run(0, silent, network, fitting_data(network, dataset))


def probed(network: Network, example: Example, path: Path) -> Path:
    inputs = example.inputs(4)
    (output,) = network.run(inputs)
    np.savez(path, output=output.numpy(), **{f"input.{network.inputs[0].name}": inputs.numpy()})
    return path


def written(file_format: OutputFormat, kinds: Collection[str], folder: Path) -> Iterator[dict[str, str]]:
    """Each file in a folder of its own, under the name that a job would give it."""
    for kind in kinds:
        network, run = network_of(KINDS[kind], folder / kind)
        probe = probed(network, KINDS[kind], folder / kind / "probe.npz")
        for precision, step in PRECISIONS.items():
            if step is not None and file_format not in step.held_by():
                continue
            path = folder / kind / precision / f"model{SUFFIXES[file_format]}"
            path.parent.mkdir()
            export(network if step is None else applied(step, network, run, 0), file_format, path)
            load = loading(path.name, file_format)
            yield {"name": f"{kind} {precision}", "folder": str(path.parent), "load": load, "probe": str(probe)}


def cosines(file_format: OutputFormat, files: Sequence[dict[str, str]]) -> dict[str, float]:
    needed = {*needed_packages(file_format), "numpy"}
    refused = [name for name in RUNTIMES if name not in needed]
    request = json.dumps([refused, asdict(WAYS[file_format]), files])
    ran = subprocess.run(
        [sys.executable, "-I", "-c", CHILD], input=request, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, float] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("file_format", get_args(OutputFormat))
@pytest.mark.parametrize("kinds", [("cnn",), pytest.param(tuple(KINDS), marks=pytest.mark.slow)], ids=["one", "all"])
def test_each_file_answers_where_only_its_runtime_can_be_imported(
    file_format: OutputFormat, kinds: tuple[str, ...], tmp_path: Path
) -> None:
    if file_format == "openvino":
        pytest.importorskip("nncf")
    found = cosines(file_format, list(written(file_format, kinds, tmp_path)))
    too_far = {name: c for name, c in found.items() if c < LEAST_COSINE.get(name.partition(" ")[2], 0.99)}
    assert not too_far
    assert {name.partition(" ")[0] for name in found} == set(kinds)


def test_what_is_out_of_reach_is_missed(tmp_path: Path) -> None:
    """As a file would that needs more than its runtime."""
    files = list(written("state_dict", ("mlp",), tmp_path))[:1]
    loader = tmp_path / "mlp" / "float32" / "load_network.py"
    loader.write_text(f"import onnxruntime\n{loader.read_text()}")
    with pytest.raises(AssertionError, match="onnxruntime is out of reach"):
        cosines("state_dict", files)

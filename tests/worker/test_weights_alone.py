"""State dicts whose network nobody knows: values are changed, and everything else comes back as it was."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from app.core.errors import Invalid, Problem
from app.core.facts import MATRICES, VECTORS, ModelFacts
from app.core.job_files import ModelFile
from app.core.recipes import FloatCasting, MagnitudePruning, Step, WeightQuantization
from app.core.tasks import Candidate, Compress, Compression, InspectModel, Measure, WrittenFile
from tests.worker.jobs import DATA, MODEL, file_of, save_data, silent
from tests.worker.networks import NETWORKS
from worker.evaluation.stored_weights import write_weights
from worker.exporting.load_network import load_network, load_state_dict
from worker.pipeline import perform
from worker.weights_alone import WeightsAlone

WEIGHTS = ModelFile(path=MODEL, format="safetensors")


def tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {
        "encoder.0.weight": torch.randn(64, 32),
        "encoder.0.bias": torch.randn(64),
        "half.weight": torch.randn(32, 64).half(),
        "brain.weight": torch.randn(8, 4, 3, 3).bfloat16(),
        "double.weight": torch.randn(16, 16).double(),
        "weight": torch.randn(20, 20),
        "norm.running_var": torch.rand(4),
        "norm.num_batches_tracked": torch.tensor(3),
        "attention.mask": torch.full((4, 4), -torch.inf).triu(1),
        "flags": torch.zeros(9000, dtype=torch.bool),
        "codes": torch.zeros(900, dtype=torch.uint16),
        "scalar": torch.tensor(1.5),
        "empty.weight": torch.zeros(0, 5),
    }


# What no attribute and no module's name can be.
ODD_NAMES = (
    "training",
    "type",
    "_parameters",
    ".leading",
    "trailing.",
    "a..b",
    "ü / name-1.w",
    "training.type.w",
    "type.x",
)
KEPT = ("norm.running_var", "norm.num_batches_tracked", "attention.mask", "flags", "codes", "empty.weight")


def uploaded(folder: Path, weights: dict[str, Tensor]) -> Path:
    for name in ("inputs", "outputs"):
        (folder / name).mkdir(parents=True)
    save_file(weights, folder / MODEL)
    return folder


def facts_of(folder: Path) -> ModelFacts:
    return perform(InspectModel(model=WEIGHTS), folder, silent).facts


def compressed(folder: Path, *steps: Step, candidates: tuple[Candidate, ...] = ()) -> Compression:
    task = Compress(model=WEIGHTS, dataset=None, steps=steps, outputs=("state_dict",), candidates=candidates, seed=0)
    return perform(task, folder, silent)


def read(folder: Path, file: WrittenFile) -> dict[str, Tensor]:
    description = next(one for one in file.companions if one.endswith(".json"))
    return load_state_dict(folder / description, folder / file.path)


def assert_verified(folder: Path, file: WrittenFile) -> None:
    found = perform(Measure(model=WEIGHTS, dataset=None, file=file, seed=0), folder, silent)
    assert (found.verified.max_difference, found.quality, found.peak_memory_mb) == (0.0, None, None)


def test_the_prefix_of_data_parallel_is_taken_off(tmp_path: Path) -> None:
    weights = {f"module.{name}": tensor for name, tensor in tensors().items()}
    folder = uploaded(tmp_path, weights)
    compression = compressed(folder, WeightQuantization())
    artifact = file_of(compression, "model.safetensors")
    assert read(folder, artifact).keys() == tensors().keys()
    for file in compression.files:
        assert perform(Measure(model=WEIGHTS, dataset=None, file=file, seed=0), folder, silent).verified


def test_what_shapes_tell_is_listed_by_prefix(tmp_path: Path) -> None:
    inspection = perform(InspectModel(model=WEIGHTS), uploaded(tmp_path, tensors()), silent)
    facts = inspection.facts
    assert (inspection.inputs, inspection.inputs_from) == (None, None)
    assert (facts.editable, facts.runs, facts.macs, facts.outputs) == ("no", False, None, ("state_dict",))
    layers = {layer.name: (layer.type, layer.parameters) for layer in facts.layers}
    assert layers["encoder.0"] == (MATRICES, 64 * 33)
    assert layers[""] == (MATRICES, 401)  # what has no prefix
    assert layers["norm"] == (VECTORS, 0)
    assert facts.parameters == sum(t.numel() for n, t in tensors().items() if n not in KEPT)
    available = {each.technique for each in facts.techniques if each.available}
    assert available == {"magnitude_pruning", "weight_quantization", "float_casting"}
    assert all(each.reason for each in facts.techniques if not each.available)


def test_vectors_alone_leave_nothing_to_prune_or_quantize(tmp_path: Path) -> None:
    facts = facts_of(uploaded(tmp_path, {"norm.weight": torch.rand(99), "norm.bias": torch.rand(99)}))
    assert [each.technique for each in facts.techniques if each.available] == ["float_casting"]
    reasons = {each.technique: each.reason for each in facts.techniques}
    assert "no tensor of the file has two dimensions" in reasons["weight_quantization"]


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        facts_of(uploaded(tmp_path, {"fc.weight": torch.full((2, 2), torch.nan)}))
    assert caught.value.code == "weights_not_finite"


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (MagnitudePruning(sparsity=0.9),),
        (MagnitudePruning(criterion="random", scope="layer"),),
        (MagnitudePruning(criterion="lsh", pattern="2:4"),),
        (MagnitudePruning(criterion="l2", pattern="block", block=(4, 4), schedule={"kind": "cubic", "rounds": 3}),),
        (WeightQuantization(),),
        (WeightQuantization(bits=2, method="kmeans"),),
        (WeightQuantization(bits=4, method="hqq"),),
        (FloatCasting(),),
        (FloatCasting(dtype="bfloat16"),),
        (MagnitudePruning(threshold=0.5), WeightQuantization(only=("encoder*",)), FloatCasting()),
    ],
    ids=lambda steps: "-".join(step.technique for step in steps) or "none",
)
def test_names_shapes_and_types_come_back(tmp_path: Path, steps: tuple[Step, ...]) -> None:
    before = tensors()
    folder = uploaded(tmp_path, before)
    compression = compressed(folder, *steps)
    for file in compression.files:
        assert_verified(folder, file)
    after = read(folder, file_of(compression, "model.safetensors"))
    assert {n: (t.shape, t.dtype) for n, t in after.items()} == {n: (t.shape, t.dtype) for n, t in before.items()}
    assert all(torch.equal(after[name], before[name]) for name in (*KEPT, *(() if steps else before)))
    assert compression.inputs == ()
    assert any("neither their quality nor their speed" in warning for warning in compression.warnings)


def test_each_kind_of_float_is_changed(tmp_path: Path) -> None:
    before = tensors()
    folder = uploaded(tmp_path, before)
    rounded = read(folder, file_of(compressed(folder, WeightQuantization()), "model.safetensors"))
    large = ("encoder.0.weight", "half.weight", "brain.weight", "double.weight", "weight")
    assert not any(torch.equal(rounded[name], before[name]) for name in large)
    errors = {name: float((rounded[name] - before[name]).abs().max()) for name in large}
    assert max(errors.values()) < 0.05


def test_pruning_takes_the_smallest_of_all_tensors(tmp_path: Path) -> None:
    folder = uploaded(tmp_path, tensors())
    pruned = read(folder, file_of(compressed(folder, MagnitudePruning(sparsity=0.5)), "model.safetensors"))
    matrices = [one for name, one in pruned.items() if name.endswith("weight") and one.numel()]
    assert sum(int((one == 0).sum()) for one in matrices) == sum(one.numel() for one in matrices) // 2


def test_files_become_smaller(tmp_path: Path) -> None:
    weights = {"fc.weight": torch.randn(200, 200)}
    sizes = {}
    for name, step in {
        "zeros": MagnitudePruning(sparsity=0.9),
        "int8": WeightQuantization(),
        "half": FloatCasting(),
    }.items():
        folder = uploaded(tmp_path / name, weights)
        sizes[name] = (folder / file_of(compressed(folder, step), "model.safetensors").path).stat().st_size
    whole = 4 * 200 * 200
    assert sizes["zeros"] < 0.15 * whole
    assert sizes["int8"] < 0.28 * whole
    assert sizes["half"] < 0.51 * whole


def test_names_that_python_could_not_have_are_kept(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = {name: torch.randn(9, 9) for name in ODD_NAMES}
    folder = uploaded(tmp_path, weights)
    assert sum(layer.parameters for layer in facts_of(folder).layers) == 81 * len(ODD_NAMES)
    file = file_of(compressed(folder, WeightQuantization()), "model.safetensors")
    assert_verified(folder, file)
    after = read(folder, file)
    assert set(after) == set(ODD_NAMES)
    assert not any(torch.equal(after[name], weights[name]) for name in ODD_NAMES)


@pytest.mark.parametrize(
    "step", [WeightQuantization(), MagnitudePruning(sparsity=0.9)], ids=lambda step: step.technique
)
def test_a_tensor_called_as_what_stands_beside_codes_is_not_overwritten(tmp_path: Path, step: Step) -> None:
    names = ("fc.weight.scale", "fc.weight.shape", "fc.weight.mask")
    weights = {
        "fc.weight": torch.randn(64, 64),
        "other.weight": torch.randn(64, 64),
        **{n: torch.rand(3) for n in names},
    }
    folder = uploaded(tmp_path, weights)
    file = file_of(compressed(folder, step), "model.safetensors")
    assert_verified(folder, file)
    after = read(folder, file)
    assert all(torch.equal(after[name], weights[name]) for name in names)


def test_what_is_in_16_bits_stays_as_it_is(tmp_path: Path) -> None:
    weights = {"fc.weight": torch.randn(9, 9).bfloat16(), "double.weight": torch.randn(9, 9).double()}
    folder = uploaded(tmp_path, weights)
    after = read(folder, file_of(compressed(folder, FloatCasting()), "model.safetensors"))
    assert torch.equal(after["fc.weight"], weights["fc.weight"])
    assert torch.equal(after["double.weight"], weights["double.weight"].half().double())


def test_candidates_are_written_beside_each_other(tmp_path: Path) -> None:
    folder = uploaded(tmp_path, tensors())
    tried = {"float32": (), "float16": (FloatCasting(),), "int8-weights": (WeightQuantization(),)}
    candidates = tuple(Candidate(precision=p, output="state_dict", steps=steps) for p, steps in tried.items())
    compression = compressed(folder, candidates=candidates)
    for name in tried:
        file = file_of(compression, f"model.{name}.safetensors")
        assert_verified(folder, file)
        assert set(read(folder, file)) == set(tensors())


def test_the_loader_beside_the_file_needs_only_torch_safetensors_and_numpy(tmp_path: Path) -> None:
    folder = uploaded(tmp_path, tensors())
    compressed(folder, MagnitudePruning(sparsity=0.9), WeightQuantization(only=("half",)))
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from load_network import load_state_dict\n"
        "weights = load_state_dict('network.json', 'model.safetensors')\n"
        f"assert set(weights) == {set(tensors())!r}\n"
        "assert not {'app', 'worker', 'modelpress', 'onnx'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=folder / "outputs", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with pytest.raises(ValueError, match="use load_state_dict"):
        load_network(folder / "outputs/network.json", folder / "outputs/model.safetensors")


def test_a_file_that_was_changed_afterwards_is_not_delivered(tmp_path: Path) -> None:
    folder = uploaded(tmp_path, tensors())
    file = file_of(compressed(folder), "model.safetensors")
    weights = load_file(folder / file.path)
    for name, spoilt in {
        "encoder.0.bias": weights["encoder.0.bias"] + 1e-3,
        "flags": ~weights["flags"],
        "half.weight": weights["half.weight"].float(),
        "attention.mask": -weights["attention.mask"],
        "weight": weights["weight"].masked_fill(weights["weight"] > 2, torch.nan),
    }.items():
        write_weights(WeightsAlone({**weights, name: spoilt}), folder / file.path)
        with pytest.raises(Problem) as caught:
            assert_verified(folder, file)
        assert caught.value.code == "artifact_differs"
    write_weights(WeightsAlone({"encoder.0.bias": torch.zeros(64)}), folder / file.path)
    with pytest.raises(Problem, match="other names"):
        assert_verified(folder, file)


def test_a_data_set_is_left_aside_with_a_warning(tmp_path: Path) -> None:
    folder = uploaded(tmp_path, tensors())
    save_data(folder / DATA.path, next(iter(NETWORKS.values())))
    task = Compress(model=WEIGHTS, dataset=DATA, steps=(), outputs=("state_dict",), seed=0)
    assert any("The data set was not used" in warning for warning in perform(task, folder, silent).warnings)

"""torch's engines for int8: the one that runs an archive fastest here, of those that give the network's answers.

An archive holds int8 weights as they are, and torch lays them out when it loads it, for the engine that is set then.
Which one is fast, and which computes a layer wrongly, depends on the layers and on the CPU.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np
import torch

from app.core.inputs import Input, tensor_inputs
from app.core.measurements import QuantizedEngine
from app.core.tasks import WrittenFile
from worker.evaluation.answers import cosine_over_all, joined
from worker.evaluation.probe import read_probe
from worker.evaluation.runtimes import Array, load_runtime
from worker.evaluation.turns import milliseconds_in_turns

DEFAULT_ENGINE: str = torch.backends.quantized.engine
# Of the cosine with the network's answers, below that of the best engine.
_AS_NEAR = 0.01
# A kernel that is wrong is wrong for every example; the file as it is delivered is compared on all.
_COMPARED = 2
# Torch's default needs no setting, so another one has to be this much quicker.
_WORTH_SETTING = 1.1


_Examples = TypeVar("_Examples", Array, torch.Tensor)


@dataclass(frozen=True)
class Trial:
    """`cosine` is of the file's answers to its probe with those of the network."""

    engine: QuantizedEngine
    milliseconds: float
    cosine: float


@dataclass(frozen=True)
class _Loaded:
    engine: QuantizedEngine
    cosine: float
    call: Callable[[], object]


def tried_engines(file: WrittenFile, folder: Path, inputs: Sequence[Input]) -> list[Trial]:
    """Each that this build of torch has, and that has kernels for all the file's layers; on one example, in turns."""
    names = [name for name in get_args(QuantizedEngine) if name in torch.backends.quantized.supported_engines]
    loaded = [each for name in names for each in _loaded(name, file, folder, inputs)]
    times = milliseconds_in_turns([each.call for each in loaded])
    return [Trial(each.engine, time, each.cosine) for each, time in zip(loaded, times, strict=True)]


def worth_setting(trials: Sequence[Trial]) -> QuantizedEngine | None:
    """None where torch's default engine is as good as any."""
    nearest = max((trial.cosine for trial in trials), default=0.0)
    near = {trial.engine: trial.milliseconds for trial in trials if trial.cosine >= nearest - _AS_NEAR}
    default = near.get(DEFAULT_ENGINE, inf)  # type: ignore[call-overload]
    quickest = min(near, key=lambda engine: near[engine], default=None)
    return quickest if quickest and near[quickest] * _WORTH_SETTING < default else None


def _loaded(engine: QuantizedEngine, file: WrittenFile, folder: Path, inputs: Sequence[Input]) -> Iterator[_Loaded]:
    assert file.probe is not None
    asked, expected = read_probe(folder / file.probe, tensor_inputs(inputs))
    try:
        runtime = load_runtime(file.model_copy(update={"engine": engine}), folder, inputs)
        cosines = [_cosine(runtime(_one(asked, at)), _one(expected, at)) for at in range(min(_COMPARED, len(asked[0])))]
    except RuntimeError:  # a kernel that the engine lacks
        return
    yield _Loaded(engine, min(cosines), runtime.bind(_one(asked, 0)))


def _one(examples: Sequence[_Examples], at: int) -> list[_Examples]:
    """Alone, as it is timed: oneDNN's kernels are laid out for the first shape that they get, and half as fast or worse
    for another one afterwards."""
    return [each[at : at + 1] for each in examples]


def _cosine(answers: Sequence[Array], expected: Sequence[Array]) -> float:
    cosine = cosine_over_all(joined(answers), joined(expected))
    if cosine is None:
        return 1.0
    return cosine if np.isfinite(cosine) else -1.0

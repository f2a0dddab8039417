"""After a step: does an archive's own forward still fit what the step has made of its parts?"""

from copy import deepcopy

import torch
from torch import Tensor

from worker.archives.module import ArchiveModule
from worker.archives.part import Part
from worker.inputs import random_inputs
from worker.loading.verification import Differs, verify_calls
from worker.network import Network, tensors_in
from worker.run import Run

_BATCHES = {2: 16, 5: 11}  # size of the batch -> of other free dimensions


def settled(changed: Network, before: Network, run: Run) -> Network:
    """`changed`, but with those parts as they were `before` that the archive computes otherwise or can't run any more.

    Its code may work with sizes of weights, such as a number of groups, which a step can't know.
    """
    whole, former = changed.module, before.module
    if not isinstance(whole, ArchiveModule) or not isinstance(former, ArchiveModule) or whole is former:
        return changed
    for part in whole.parts:
        if not _agrees(whole, part):
            _put_back(whole, former, part.path)
            run.warn(
                f"`{part.path}` is left as it was before this step: the archive's own code works with the sizes "
                "that its weights had."
            )
    if not _runs_like(whole, former, before):
        for part in whole.parts:
            _put_back(whole, former, part.path)
        run.warn("All submodules are left as they were: what calls them works with the sizes that their weights had.")
    return changed


def _put_back(whole: ArchiveModule, former: ArchiveModule, path: str) -> None:
    whole.put_part(path, deepcopy(next(part.module for part in former.parts if part.path == path)))


def _agrees(whole: ArchiveModule, part: Part) -> bool:
    try:
        verify_calls(part, whole.their_module(part.path))
    except (Differs, RuntimeError):
        return False
    return True


def _runs_like(whole: ArchiveModule, former: ArchiveModule, before: Network) -> bool:
    for batch, size in _BATCHES.items():
        examples = random_inputs(before.inputs, batch, seed=batch, free_size=size)
        try:
            answers, expected = (_answers(module, examples) for module in (whole, former))
        except RuntimeError:
            return False
        if [one.shape for one in answers] != [one.shape for one in expected]:
            return False
    return True


def _answers(module: ArchiveModule, examples: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return tensors_in(module.run_twice(*examples))

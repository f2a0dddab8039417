"""A TorchScript archive -> an editable network, compared with the archive before anyone relies on it."""

import warnings
from pathlib import Path

import torch
from torch import fx

from app.core.errors import Invalid
from app.core.facts import Blocker
from app.core.inputs import InputSpec
from worker.inputs import random_inputs
from worker.loading.importing.converter import convert
from worker.loading.lifting import lift
from worker.loading.unsupported import Unsupported
from worker.network import tensors_in, with_flat_outputs

_TOLERANCE = 1e-4


class NotEditable(Exception):
    """The archive runs, but its graph can't be turned into an editable network."""

    def __init__(self, blockers: tuple[Blocker, ...]) -> None:
        super().__init__(", ".join(blocker.operator for blocker in blockers))
        self.blockers = blockers


def load_archive(path: Path) -> torch.jit.ScriptModule:
    """In evaluation mode, on the CPU, half precision widened to float32."""
    try:
        archive: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
            str(path), map_location="cpu"
        )
    except Exception as error:
        raise Invalid(
            "The archive can't be opened by torch. Save it again with torch.jit.save(torch.jit.trace(model.eval(), "
            "example), path), by a torch that is not newer than this service's.",
            code="load_failed",
            title="The model can't be loaded",
        ) from error
    if any(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in archive.state_dict().values()):
        archive = archive.float()
    return archive.eval()


def lift_archive(archive: torch.jit.ScriptModule, inputs: tuple[InputSpec, ...]) -> fx.GraphModule:
    """Raises NotEditable where the graph holds what can't be edited, Invalid where the result differs."""
    examples = random_inputs(inputs, 2, seed=0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the converter itself does
            module = lift(convert(archive, examples))
    except Unsupported as problem:
        raise NotEditable(
            (Blocker(operator=problem.operator, where=problem.where, advice=problem.advice),)
        ) from problem
    module = with_flat_outputs(module).requires_grad_(True).eval()
    verify(module, archive, inputs)
    return module


def verify(module: fx.GraphModule, archive: torch.jit.ScriptModule, inputs: tuple[InputSpec, ...]) -> None:
    """Both must answer alike, at two batch sizes: a wrong network would be compressed faithfully."""
    for batch_size, free_size in ((2, 16), (5, 11)):
        examples = random_inputs(inputs, batch_size, seed=batch_size, free_size=free_size)
        with torch.inference_mode():
            expected = tensors_in(archive(*(example.clone() for example in examples)))
            answers = tensors_in(module(*examples))
        if not _alike(answers, expected):
            raise Invalid(
                f"Rebuilt as an editable network, the model answers a batch of {batch_size} differently than the "
                "uploaded file. It may be random in forward(), or depend on the batch. Upload its state dict with an "
                "architecture instead.",
                code="lift_differs",
                title="The model can't be rebuilt faithfully",
            )


def _alike(answers: tuple[torch.Tensor, ...], expected: tuple[torch.Tensor, ...]) -> bool:
    return len(answers) == len(expected) and all(
        answer.shape == wanted.shape
        and torch.allclose(answer.double(), wanted.double(), rtol=_TOLERANCE, atol=_TOLERANCE)
        for answer, wanted in zip(answers, expected, strict=True)
    )

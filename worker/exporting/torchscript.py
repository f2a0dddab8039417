"""TorchScript by tracing. torch.jit is on its way out of torch: only this module writes it."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

from app.core.errors import Problem
from worker.archives.module import ArchiveModule
from worker.exporting.lean_archive import make_lean
from worker.inputs import random_inputs
from worker.network import Network, tensors_in
from worker.packing.in_torchscript import pack_archive
from worker.packing.packed import Packed


def export_torchscript(network: Network, path: Path) -> tuple[Path, ...]:
    if isinstance(network.module, ArchiveModule):
        network.module.write_back()
        network.module.kept.save(path)
        _finish(path, {network.module.place_of[name]: one for name, one in network.packed.items()})
        return ()
    module = network.module
    for change in network.before_tracing:
        module = change(module)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # constants: see below
        traced = torch.jit.trace(module, random_inputs(network.inputs, 2, seed=0), check_trace=False)  # type: ignore[no-untyped-call]
    _check_batch_is_free(network, traced)
    torch.jit.save(traced, str(path))
    in_float = {name for name, one in traced.named_parameters() if one.dtype is torch.float32}
    _finish(path, {name: one for name, one in network.packed.items() if name in in_float})
    return ()


def _finish(path: Path, packed: Mapping[str, Packed]) -> None:
    if packed:
        pack_archive(path, packed)
    make_lean(path)


def _check_batch_is_free(network: Network, traced: torch.jit.ScriptModule) -> None:
    """A size that tracing has turned into a constant shows on any other batch."""
    examples = random_inputs(network.inputs, 5, seed=1)
    with torch.inference_mode():
        answers = tensors_in(traced(*examples))
    if [answer.shape for answer in answers] != [output.shape for output in network.run(*examples)]:
        raise Problem(
            "The traced network only runs on the batch it was traced with. Ask for onnx in `outputs`.",
            code="export_failed",
            title="A file can't be written",
        )

"""Archives of the networks: made from source, saved, and opened again as a stranger would."""

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import fx, nn

from tests.worker.importing.networks import CASES, Case
from worker.loading.importing import Imported, import_torchscript
from worker.loading.lifting import lift

Way = Literal["trace", "script"]
ARCHIVES = [(case, way) for case in CASES for way in ("trace", "script") if way == "trace" or case.scripts]
NAMES = [f"{case.name}-{way}" for case, way in ARCHIVES]


@dataclass(frozen=True)
class Rebuilt:
    source: nn.Module
    archive: torch.jit.ScriptModule
    imported: Imported
    network: fx.GraphModule


def reopened(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    file = io.BytesIO()
    torch.jit.save(module, file)
    file.seek(0)
    return torch.jit.load(file)


def archive_of(source: nn.Module, case: Case, way: Way) -> torch.jit.ScriptModule:
    if way == "script":
        return reopened(torch.jit.script(source))
    return reopened(torch.jit.trace(source, case.inputs(2), strict=False, check_trace=False))


def rebuilt(archive: torch.jit.ScriptModule, case: Case, source: nn.Module) -> Rebuilt:
    imported = import_torchscript(archive, case.inputs(2))
    return Rebuilt(source, archive, imported, lift(imported.graph_module))


@functools.cache
def rebuilt_case(case: Case, way: Way) -> Rebuilt:
    torch.manual_seed(0)
    source = case.build().eval()
    return rebuilt(archive_of(source, case, way), case, source)


def rebuilt_from(source: nn.Module, inputs: Callable[[int], tuple[torch.Tensor, ...]], way: Way = "script") -> Rebuilt:
    """For networks that aren't in the table."""
    source = source.eval()
    made = torch.jit.script(source) if way == "script" else torch.jit.trace(source, inputs(2), check_trace=False)
    archive = reopened(made)
    imported = import_torchscript(archive, inputs(2))
    return Rebuilt(source, archive, imported, lift(imported.graph_module))

"""One archive of a tiny network, held to everything that is promised of an import. No benchmark itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from app.core.errors import Problem
from app.core.inputs import InputSpec
from app.core.measurements import OutputFormat
from app.core.tasks import WrittenFile
from app.core.wanted_files import SUFFIXES
from tests.worker.importing.archives import ARCHIVES, Way, archive_of
from tests.worker.importing.checks import archive_names, assert_a_step_lowers_the_loss, assert_same_gradients
from tests.worker.importing.library import LIBRARY
from tests.worker.importing.networks import Case
from worker.evaluation.verification import load, run
from worker.exporting import EXPORTERS, export
from worker.loading.lifted import Lifted, NotEditable
from worker.loading.torchscript import lift_archive
from worker.loading.verification import Differs, difference_between, verify
from worker.network import Network

ALL: list[tuple[Case, Way]] = [*ARCHIVES, *((case, "trace") for case in LIBRARY)]
TRAINED_BATCH = 5
OUTPUTS = "outputs"


@dataclass(frozen=True)
class Examined:
    """`names_kept` is a fraction of the source class's tensors; `formats` are those that were written, read again and
    answered as the network does; `route` is None where the archive was refused."""

    archive: str
    route: str | None = None
    equal: bool = False
    names_kept: float = 0.0
    gradient_equal: bool = False
    trains: bool = False
    formats: tuple[OutputFormat, ...] = ()
    refusal: str | None = None

    @property
    def complete(self) -> bool:
        kept = self.equal and self.gradient_equal and self.trains and self.names_kept == 1
        return kept and set(self.formats) == set(EXPORTERS)


def examined(case: Case, way: Way, folder: Path) -> Examined:
    torch.manual_seed(0)
    source, name = case.build().eval(), f"{case.name}, {way}d" if way == "trace" else f"{case.name}, scripted"
    archive, inputs = archive_of(source, case, way), specification(case)
    try:
        lifted = lift_archive(archive, inputs)
    except (NotEditable, Problem) as problem:
        return Examined(name, refusal=str(problem))
    _freeze_alike(source, lifted)
    return Examined(
        archive=name,
        route="converter" if lifted.converted else "importer",
        equal=_holds(lambda: verify(lifted.module, archive, case.inputs)),
        names_kept=_names_kept(lifted, source),
        gradient_equal=_holds(lambda: assert_same_gradients(source, lifted.module, case.inputs(TRAINED_BATCH))),
        trains=_holds(lambda: assert_a_step_lowers_the_loss(lifted.module, case.inputs(TRAINED_BATCH))),
        formats=_written_and_read(Network(lifted.module, inputs), case, folder),
    )


def specification(case: Case) -> tuple[InputSpec, ...]:
    kind = {"dtype": "int64", "low": 1, "high": case.tokens} if case.tokens else {}
    return tuple(InputSpec(name=f"x{n}", shape=("batch", *shape), **kind) for n, shape in enumerate(case.shapes))


def _freeze_alike(source: nn.Module, lifted: Lifted) -> None:
    """An import makes every parameter trainable, those that its author had frozen, too."""
    frozen = {name for name, parameter in source.named_parameters() if not parameter.requires_grad}
    names = archive_names(lifted.module)
    for name, parameter in lifted.module.named_parameters():
        parameter.requires_grad_(names[name] not in frozen)


def _holds(check: Callable[[], object]) -> bool:
    try:
        check()
    except (AssertionError, Differs):
        return False
    return True


def _names_kept(lifted: Lifted, source: nn.Module) -> float:
    theirs = set(source.state_dict())
    return len(theirs & set(archive_names(lifted.module).values())) / len(theirs) if theirs else 1.0


def _written_and_read(network: Network, case: Case, folder: Path) -> tuple[OutputFormat, ...]:
    return tuple(kind for kind in EXPORTERS if travels(network, kind, folder, case.inputs(TRAINED_BATCH)))


def travels(network: Network, kind: OutputFormat, folder: Path, inputs: Sequence[Tensor]) -> bool:
    path = folder / OUTPUTS / f"model{SUFFIXES[kind]}"
    path.parent.mkdir(exist_ok=True)
    try:
        companions = tuple(f"{OUTPUTS}/{one.name}" for one in export(network, kind, path))
        place = f"{OUTPUTS}/{path.name}"
        file = WrittenFile(name=path.name, path=place, companions=companions, format=kind, role="artifact",
                           parameters=0, nonzero_parameters=0, macs=None)  # fmt: skip
        answers = run(file, load(file, folder, network.inputs), inputs)
    except Problem:
        return False
    difference = difference_between([torch.from_numpy(one) for one in answers], network.run(*inputs))
    return difference is not None and difference.is_small

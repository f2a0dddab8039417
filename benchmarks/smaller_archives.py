"""Every archive of the tests' tiny networks through techniques that change a network's layers: does it still run, is
it written in every format, is each file read again and does it answer alike, can we import it once more? One JSON line.

`--table` prints a table of Markdown instead. Names of techniques after it choose among them.
"""

import json
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from support.imported_archives import specification, travels

from app.core.errors import Problem
from app.core.recipes import LayerPruning, LowRankFactorization, StepBase
from tests.worker.importing.archives import ARCHIVES, archive_of, reopened
from tests.worker.importing.library import LIBRARY
from tests.worker.importing.networks import Case
from worker.counting import count
from worker.exporting import EXPORTERS
from worker.loading.torchscript import lift_archive
from worker.loading.verification import Differs, verify
from worker.network import Network
from worker.run import Run
from worker.techniques import apply

CASES = [*(case for case, way in ARCHIVES if way == "trace"), *LIBRARY]
STEPS: dict[str, StepBase] = {
    "low_rank_factorization": LowRankFactorization(),
    "low_rank_factorization by cp": LowRankFactorization(method="cp"),
    "layer_pruning": LayerPruning(count=1, criterion="random"),
}
BATCH = 5
REFUSED_BY_DESIGN = {"nothing_factored", "nothing_to_leave_out", "pattern_matches_nothing"}


@dataclass(frozen=True)
class Outcome:
    """`refusal` is a code; ratios are before / after."""

    network: str
    step: str
    refusal: str | None = None
    macs_ratio: float | None = None
    parameter_ratio: float | None = None
    formats: tuple[str, ...] = ()
    imported_again: bool = False

    @property
    def complete(self) -> bool:
        if self.refusal is not None:
            return self.refusal in REFUSED_BY_DESIGN
        return self.imported_again and set(self.formats) == set(EXPORTERS)


def outcome(case: Case, name: str, folder: Path) -> Outcome:
    torch.manual_seed(0)
    source, inputs = case.build().eval(), specification(case)
    network = Network(lift_archive(archive_of(source, case, "trace"), inputs).module, inputs)
    try:
        changed = apply(STEPS[name], network, Run(0, lambda _message: None, network))
    except Problem as problem:
        return Outcome(case.name, name, refusal=problem.code)
    answers = case.inputs(BATCH)
    return Outcome(
        network=case.name,
        step=name,
        macs_ratio=round(count(network).macs / max(1, count(changed).macs), 3),
        parameter_ratio=round(network.parameters / changed.parameters, 3),
        formats=tuple(kind for kind in EXPORTERS if travels(changed, kind, folder, answers)),
        imported_again=_imports_again(changed, case),
    )


def _imports_again(network: Network, case: Case) -> bool:
    archive = reopened(torch.jit.trace(network.module, case.inputs(2), check_trace=False))
    try:
        verify(lift_archive(archive, network.inputs).module, network.module, case.inputs)
    except (Problem, Differs):
        return False
    return True


def as_table(rows: Sequence[Outcome]) -> str:
    """One line for each network, one cell for each step."""
    by_network: dict[str, dict[str, Outcome]] = {}
    for row in rows:
        by_network.setdefault(row.network, {})[row.step] = row
    steps = tuple(dict.fromkeys(row.step for row in rows))
    lines = [("network", *steps), ("---",) * (len(steps) + 1)]
    lines += [(name, *(_cell(of[step]) for step in steps)) for name, of in by_network.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(row: Outcome) -> str:
    if row.refusal is not None:
        return row.refusal
    amiss = "" if row.complete else f", only {'/'.join(row.formats)}{'' if row.imported_again else ', not imported'}"
    return f"{row.macs_ratio}x MACs, {row.parameter_ratio}x parameters{amiss}"


def _told(row: Outcome) -> Outcome:
    print(row, file=sys.stderr, flush=True)
    return row


def main() -> None:
    warnings.simplefilter("ignore")
    torch.backends.mha.set_fastpath_enabled(False)  # as in the worker
    torch._C._jit_set_onnx_log_output_stream("stderr")  # of graphs that can't be exported
    chosen = [name for name in STEPS if name in sys.argv[1:]] or list(STEPS)
    with tempfile.TemporaryDirectory() as folder:
        rows = [_told(outcome(case, name, Path(folder))) for case in CASES for name in chosen]
    if "--table" in sys.argv:
        print(as_table(rows))
        return
    line = {"benchmark": "smaller_archives", "runs": len(rows), "complete": sum(row.complete for row in rows)}
    changed = sum(row.refusal is None for row in rows)
    print(json.dumps({**line, "changed": changed, "table": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()

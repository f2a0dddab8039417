"""Archives that became editable networks, each check by itself, and what large ones cost. One JSON line.

`--table` prints the archives as a table of Markdown instead, for docs/importing.md.
"""

import json
import sys
import tempfile
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import torch
from support.imported_archives import ALL, Examined, examined
from support.large_networks import LARGE, imported_alone

from worker.exporting import EXPORTERS

GOAL_BY_IMPORTER = 0.95
HEADINGS = ("archive", "route", "equal at two batches", "names kept", "gradient equal", "trains", *EXPORTERS)


def examine_all() -> list[Examined]:
    with tempfile.TemporaryDirectory() as folder:
        return [examined(case, way, Path(folder)) for case, way in ALL]


def summary(rows: list[Examined]) -> dict[str, object]:
    imported = [row for row in rows if row.route]
    return {
        "archives": len(rows),
        "imported": len(imported),
        "equal": sum(row.equal for row in rows),
        "names_kept": sum(row.names_kept == 1 for row in rows),
        "gradient_equal": sum(row.gradient_equal for row in rows),
        "trains": sum(row.trains for row in rows),
        **{f"written_as_{kind}": sum(kind in row.formats for row in rows) for kind in EXPORTERS},
        "complete": sum(row.complete for row in rows),
        "share_by_importer": round(sum(row.route == "importer" for row in rows) / len(rows), 3),
        "goal_complete": len(rows),
        "goal_share_by_importer": GOAL_BY_IMPORTER,
    }


def compact(row: Examined) -> dict[str, object]:
    """The name and the route of a row with nothing amiss, all of any other."""
    return {"archive": row.archive, "route": row.route} if row.complete else asdict(row)


def as_table(rows: list[Examined]) -> str:
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Examined) -> tuple[str, ...]:
    checks = (row.gradient_equal, row.trains, *(kind in row.formats for kind in EXPORTERS))
    kept = f"{row.names_kept:.0%}"
    return (row.archive, row.route or "refused", _word(row.equal), kept, *map(_word, checks))


def _word(holds: bool) -> str:
    return "yes" if holds else "no"


def main() -> None:
    warnings.simplefilter("ignore")
    torch.backends.mha.set_fastpath_enabled(False)  # as in the worker
    torch._C._jit_set_onnx_log_output_stream("stderr")  # of graphs that can't be exported
    started = time.perf_counter()
    rows = examine_all()
    if "--table" in sys.argv:
        print(as_table(rows))
        return
    line = {
        "benchmark": "importing",
        **summary(rows),
        "seconds": round(time.perf_counter() - started, 1),
        "large": [imported_alone(kind) for kind in LARGE],
        "table": [compact(row) for row in rows],
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()

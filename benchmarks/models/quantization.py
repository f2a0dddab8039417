"""Every precision that the service tries beside what the quantizers of others make of the same model.

    make bench-quantization                                       everything that isn't known yet
    make bench-quantization MODELS="mnist_cnn cancer_mlp"         some of it
    python -m models.quantization --again                         time the files that are there once more
    python -m models.quantization --table                         what is known, as Markdown

Our files come from a service of its own, over HTTP; each of the others' is made in a process of its own. All of a model
are then judged and timed in turns in one process. Results are kept; stop it when you like, and start it again.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.alone import alone
from models.arguments import parser
from models.bench import Bench, files_of_ours
from models.cases import Case, cases
from models.costs import EQUIVALENTS, compress_alone
from models.goals import size_ratio
from models.peers import METHODS, make
from models.quantization_table import costs_table, table
from models.side_by_side import File

from app.cli.embedded_service import service_of_a_command
from app.client import Client


class QuantizationBench(Bench):
    """Keeps of each case `ours`, each of the others' methods, `rows` of all files together, and costs."""

    def cost(self, case: Case) -> None:
        """Of single methods, one process after another: a script of the others', and a task of ours."""
        for method in EQUIVALENTS:
            if not case.steps and self.known(case, f"costs of {method}") is None:
                with TemporaryDirectory() as folder:
                    theirs = alone(make, method, self.folder(case), Path(folder, f"model{METHODS[method][1]}"))
                ours = alone(compress_alone, method, case.subject.file, case.subject.data, case.inputs)
                self.keep(case, f"costs of {method}", {"ours": ours, "theirs": theirs})

    def files(self, case: Case) -> dict[str, File]:
        ours = self.known(case, "ours")
        assert ours is not None
        return files_of_ours("ours", ours, self.folder(case) / "ours") | self.files_of_others(case)


def lines(bench: QuantizationBench, case: Case) -> Iterator[dict[str, Any]]:
    known = bench.known(case, "rows") or {"rows": {}}
    upload = known["rows"].get("upload")
    for name, row in known["rows"].items():
        line = {"benchmark": "models_quantization", "model": case.name, "file": name, **row}
        yield line | {"size_ratio": size_ratio(row, upload)}


def arguments() -> argparse.Namespace:
    told = parser(__doc__, "models_quantization")
    told.add_argument("--again", action="store_true", help="time anew what was timed before")
    told.add_argument("--costs", action="store_true", help="also what each single method costs")
    return told.parse_args()


def run(bench: QuantizationBench, chosen: list[Case], options: argparse.Namespace) -> None:
    with service_of_a_command() as service, Client(service.url) as client:
        there = [case for case in chosen if bench.compressed(client, case, "ours", case.job)]
    for case in there:
        bench.quantized_by_others(case)
        if options.costs:
            bench.cost(case)
        bench.compare(case, bench.files(case), again=options.again)
        for line in lines(bench, case):
            print(json.dumps(line), flush=True)


def main() -> None:
    options = arguments()
    bench = QuantizationBench(options.results)
    chosen = cases(options.folder, options.results / "built", options.models)
    if not options.table:
        run(bench, chosen, options)
    rows = {case.name: known["rows"] for case in chosen if (known := bench.known(case, "rows"))}
    print("\n".join(table(rows)))
    known = {(case.name, name): bench.known(case, f"costs of {name}") for case in chosen for name in EQUIVALENTS}
    costs = {pair: both for pair, both in known.items() if both is not None}
    print("\n".join(costs_table(costs)))


if __name__ == "__main__":
    main()

"""Every odd and hostile file, sent to a service: right answers, markers, errors, slowest answer. One JSON line."""

import contextlib
import json
import tempfile
from pathlib import Path

from support.corpus_over_http import left_behind, limited_service, markers, send_all, written_corpus

from app.cli.embedded_service import service_of_a_command


def main() -> None:
    with tempfile.TemporaryDirectory() as name, limited_service():
        folder = Path(name)
        corpus = written_corpus(folder / "corpus")
        (folder / "workplace").mkdir()
        with contextlib.chdir(folder / "workplace"), service_of_a_command() as service:
            outcome = send_all(service.url, corpus)
            left = left_behind(service.data_dir, outcome)
            marked = [*markers(folder), *markers(service.data_dir)]
    line = {
        "benchmark": "hostile_files",
        "files": outcome.files,
        "right_answers": outcome.files - len(outcome.wrong),
        "wrong": sorted(outcome.wrong),
        "rejected_by_inspection": len(outcome.rejected),
        "markers": len(marked),
        "server_errors": outcome.server_errors,
        "files_left_behind": len(left),
        "slowest_answer_ms": round(outcome.slowest_answer_ms),
        "slowest_health_ms": round(outcome.slowest_health_ms),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()

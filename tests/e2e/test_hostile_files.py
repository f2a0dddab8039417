"""Every odd and hostile file through the real service: the right answer, nothing run, nothing kept, no one delayed."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from app.cli.embedded_service import Service, running_service
from benchmarks.support.corpus_over_http import (
    Outcome,
    left_behind,
    limited_service,
    markers,
    send_all,
    written_corpus,
)

pytestmark = pytest.mark.slow


class Run(NamedTuple):
    """`workplace` is the folder in which the service was started."""

    service: Service
    workplace: Path
    outcome: Outcome


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("hostile")
    corpus = written_corpus(folder / "corpus")
    (folder / "workplace").mkdir()
    with pytest.MonkeyPatch.context() as patch, limited_service():
        patch.chdir(folder / "workplace")
        with running_service(folder / "workplace" / "data") as service:
            yield Run(service, folder / "workplace", send_all(service.url, corpus))


def test_every_answer_is_right(run: Run) -> None:
    assert run.outcome.wrong == {}
    assert run.outcome.server_errors == 0
    assert run.outcome.files >= 450


def test_no_payload_ran(run: Run) -> None:
    assert markers(run.workplace) == []


def test_nothing_is_kept_of_what_was_refused(run: Run) -> None:
    assert run.outcome.kept
    assert left_behind(run.service.data_dir, run.outcome) == []


def test_others_were_answered_throughout(run: Run) -> None:
    assert 0 < run.outcome.slowest_health_ms < 1000
    assert run.outcome.slowest_answer_ms < 10_000


def test_the_service_goes_on(run: Run) -> None:
    assert httpx2.get(f"{run.service.url}/health/ready").json()["status"] == "ready"
    assert run.service.process.poll() is None

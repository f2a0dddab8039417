"""A child does its task or ends as a sentence, and is gone afterwards."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from app.core.facts import DatasetFacts
from app.core.messages import Done, Progress, Warn
from tests.worker.runtime import performances
from tests.worker.runtime.conftest import Run
from worker.failures import (
    BadAnswer,
    Canceled,
    ChildCrashed,
    ChildFailure,
    DiskFull,
    DiskLimit,
    LogLimit,
    OutOfMemory,
    TimeLimit,
    WorkerLost,
)


def gone(process: int) -> bool:
    """Ended, even if its parent hasn't asked for its end yet."""
    try:
        return " Z " in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True


def process_of(run: Run) -> int:
    """The process that the child named in its first message."""
    first = run.messages[0]
    assert isinstance(first, Progress)
    return int(first.message)


def parent_of(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))


def test_an_answer_comes_back_with_messages_and_log(run: Run) -> None:
    assert run("behave") == performances.FACTS
    kinds = [type(message) for message in run.messages]
    assert kinds == [Progress, Warn, Done]
    assert run.log == b"hello from Python\nhello from the system\n"


def test_the_most_that_a_child_held_is_told(run: Run) -> None:
    """400 MB and what every child has from the fork server."""
    run("hold_for_a_moment")
    assert 400 < run.memory_mb < 1200


def test_a_child_is_alone_in_its_session_without_secrets_or_inherited_files(run: Run) -> None:
    arrays = run("tell_surroundings").model_dump()["arrays"]
    seen = {name: facts["shape"][0] for name, facts in arrays.items()}
    forkserver = seen.pop("forkserver")
    assert seen == {"session": 1, "files": 4, "secrets": 0, "threads": 1, "signals": 1}
    status = Path(f"/proc/{forkserver}/status").read_text()
    assert "Threads:\t1\n" in status
    environment = Path(f"/proc/{forkserver}/environ").read_bytes()
    assert b"MODELPRESS" not in environment
    assert b"OMP_NUM_THREADS=1" in environment


@pytest.mark.parametrize(
    ("performance", "limits", "failure", "words"),
    [
        ("allocate_for_ever", {"memory_mb": 500}, OutOfMemory, "memory limit of 500 MB"),
        ("ask_for_the_impossible", {}, OutOfMemory, "more memory than there is"),
        ("ask_torch_for_the_impossible", {}, OutOfMemory, "more memory than there is"),
        ("print_in_chunks_and_sleep", {"seconds": 0.5}, TimeLimit, "time limit of 0.5 s"),
        ("print_for_ever", {"log_bytes": 100_000}, LogLimit, "100000 bytes"),
        ("fill_the_disk", {"disk_mb": 8}, DiskLimit, "disk limit of 8 MB"),
        ("fill_the_disk_with_names", {"disk_mb": 8}, DiskLimit, "disk limit of 8 MB"),
        ("fill_the_disk", {"min_free_bytes": 1 << 60}, DiskFull, "no space left"),
        ("find_the_disk_full", {}, DiskFull, "no space left"),
        ("find_the_disk_full_in_a_library", {}, DiskFull, "no space left"),
        ("crash", {}, ChildCrashed, "SIGSEGV"),
        ("abort", {}, ChildCrashed, "SIGABRT"),
        ("leave_silently", {}, BadAnswer, "exit code 3"),
        ("send_garbage", {}, BadAnswer, "not a message"),
        ("send_without_end", {"message_bytes": 100_000}, BadAnswer, "more than"),
        ("send_on_after_the_end", {}, BadAnswer, "after its last message"),
        ("answer_something_else", {}, BadAnswer, "agreed form"),
    ],
)
def test_misbehaviour_ends_as_a_sentence(
    run: Run, performance: str, limits: dict[str, float], failure: type[ChildFailure], words: str
) -> None:
    with pytest.raises(ChildFailure) as caught:
        run(performance, **limits)
    assert caught.value.code == failure.default_code
    assert words in caught.value.detail
    assert not caught.value.retry


def test_the_log_is_kept_up_to_its_limit(run: Run) -> None:
    with pytest.raises(LogLimit):
        run("print_for_ever", log_bytes=10_000)
    assert len(run.log) == 10_000


def test_a_crash_leaves_its_traceback_in_the_log(run: Run) -> None:
    with pytest.raises(ChildCrashed):
        run("crash")
    assert b"Segmentation fault" in run.log
    assert b"performances.py" in run.log


def test_one_large_file_ends_at_the_limit_by_itself(run: Run) -> None:
    with pytest.raises(ChildFailure):
        run("write_one_large_file", disk_mb=8)
    assert (run.folder / "outputs" / "large").stat().st_size <= 8 << 20


def test_the_childs_own_problem_is_passed_on_without_control_characters(run: Run) -> None:
    with pytest.raises(ChildFailure) as caught:
        run("refuse")
    problem = caught.value.body()
    assert (problem.code, problem.title, problem.step) == ("no_layers", "Nothing to compress", 2)
    assert problem.detail == "It has no  [31mlayers ."


@pytest.mark.parametrize(
    ("performance", "code"),
    [("stumble", "internal_error"), ("exit_politely", "internal_error"), ("raise_in_the_model", "model_failed")],
)
def test_an_unforeseen_error_is_told_in_our_words_and_logged_in_full(run: Run, performance: str, code: str) -> None:
    with pytest.raises(ChildFailure) as caught:
        run(performance)
    assert caught.value.code == code
    assert "secret of the library" not in caught.value.detail
    assert b"Traceback" in run.log


def test_cancel_ends_even_a_child_that_is_deaf_to_signals(run: Run) -> None:
    threading.Timer(0.3, run.stop.set).start()
    with pytest.raises(Canceled):
        run("sleep_deaf_to_signals")
    assert gone(process_of(run))


def test_an_end_from_outside_is_worth_another_try(run: Run) -> None:
    run.listener = lambda message: os.kill(int(message.message), signal.SIGKILL)
    with pytest.raises(WorkerLost) as caught:
        run("sleep_deaf_to_signals")
    assert caught.value.retry


def test_a_listener_that_raises_ends_the_child(run: Run) -> None:
    class LeaseLost(Exception):
        pass

    def lose(_message: Progress) -> None:
        raise LeaseLost

    run.listener = lose
    with pytest.raises(LeaseLost):
        run("sleep_deaf_to_signals")
    assert gone(process_of(run))


def test_the_fork_server_is_started_again_when_it_was_lost(run: Run) -> None:
    run.listener = lambda message: os.kill(parent_of(int(message.message)), signal.SIGKILL)
    with pytest.raises(WorkerLost):
        run("sleep_deaf_to_signals")
    assert gone(process_of(run))
    run.listener = None
    assert run("behave") == performances.FACTS


def test_descendants_are_ended_too(run: Run) -> None:
    assert run("forks_when_imported:perform") == performances.FACTS
    deadline = time.monotonic() + 5
    while not gone(process_of(run)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gone(process_of(run))


def test_a_step_may_compute_with_several_threads(run: Run) -> None:
    facts = run("multiply_with_two_threads")
    assert isinstance(facts, DatasetFacts)
    assert (facts.arrays["alone"].shape, facts.arrays["two"].shape) == ((1,), (2,))

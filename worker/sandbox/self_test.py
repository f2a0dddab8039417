"""Tries every forbidden and every needed act in a real child and says what came of each.

A refusal proves something only where the act would otherwise work. So the child does each forbidden act twice, before
and after it enters the sandbox; `without_sandbox` says what came of the first.
"""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from pydantic import TypeAdapter

from app.core.sandbox import ActResult, Expected, SandboxReport
from worker import forkserver
from worker.sandbox.enter import enter
from worker.sandbox.forbidden_acts import FORBIDDEN
from worker.sandbox.level import level
from worker.sandbox.needed_acts import NEEDED
from worker.sandbox.scene import Act, Scene

_SECONDS = 120.0
_DISK_MB = 16
_IDENTITY_ONNX = (
    b'\x08\x08:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)


_RESULTS = TypeAdapter(tuple[ActResult, ...])


def self_test(folder: Path) -> SandboxReport:
    """Run it beneath `folder`, which should be in the data folder: that is what must stay hidden.

    Never raises for what the sandbox does or fails to do: a child that is lost gives a report that is not `ok`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="self-test-") as around, _listener() as port:
        _furnish(Path(around))
        results = _results_of_child(Path(around), port)
    claimed = level()
    return SandboxReport(
        level=claimed.name,
        landlock=claimed.landlock,
        seccomp=claimed.seccomp,
        missing=claimed.missing,
        ok=bool(results) and all(result.ok for result in results),
        results=results,
    )


def _furnish(around: Path) -> None:
    for folder in ("job/inputs", "job/outputs", "other_job"):
        (around / folder).mkdir(parents=True)
    for file in ("secret", "doomed", "other_job/weights"):
        (around / file).write_text("secret")
    (around / "job/inputs/model").write_bytes(_IDENTITY_ONNX)


@contextmanager
def _listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _results_of_child(around: Path, port: int) -> tuple[ActResult, ...]:
    answer, their_answer = Pipe(duplex=False)
    with answer:
        with their_answer:
            process = forkserver.start(_examine, their_answer, str(around), os.getpid(), port)
        try:
            return _RESULTS.validate_json(answer.recv_bytes()) if answer.poll(_SECONDS) else ()
        except EOFError:
            return ()
        finally:
            process.kill()
            forkserver.exit_code(process)


def _examine(answer: Connection, around: str, parent: int, port: int) -> None:
    """The child's side."""
    with _victim() as victim:
        scene = Scene(Path(around), parent, port, victim)
        before = {act: _attempt(try_, scene) for act, try_ in FORBIDDEN.items()}
        enter(scene.job, _DISK_MB)
        refusals = [_result(act, "refused", _attempt(try_, scene), before[act]) for act, try_ in FORBIDDEN.items()]
        work = [_result(act, "works", _attempt(try_, scene)) for act, try_ in NEEDED.items()]
    with suppress(BrokenPipeError):
        answer.send_bytes(_RESULTS.dump_json((*refusals, *work)))
    os._exit(0)


def _result(act: str, expected: Expected, seen: str, without_sandbox: str | None = None) -> ActResult:
    ok = seen.startswith(expected)
    return ActResult(act=act, expected=expected, seen=seen, without_sandbox=without_sandbox, ok=ok)


@contextmanager
def _victim() -> Iterator[int]:
    """A process to attack, which ends with its parent's end of a pipe."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    yield child
    os.close(writing)
    os.waitpid(child, 0)


def _attempt(act: Act, scene: Scene) -> str:
    try:
        act(scene)
    except OSError as error:
        return f"refused ({error.strerror})"
    except Exception as error:
        return f"failed ({type(error).__name__})"
    return "works"

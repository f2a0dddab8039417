"""What a child sends, read with suspicion: lines of JSON, counted and checked."""

from collections.abc import Callable

from pydantic import ValidationError

from app.core.errors import ProblemBody
from app.core.messages import MESSAGE, Done, Failed, Message
from app.core.tasks import ANSWERS, Answer, Task
from worker.failures import BadAnswer, LogLimit, Reported

_LONGEST_TEXT = 2000


class MessageReader:
    """Turns bytes into messages as they come; `last` is the one that ends a child's work."""

    def __init__(self, limit: int, on_message: Callable[[Message], None]) -> None:
        self.last: Done | Failed | None = None
        self._left = limit
        self._unfinished = b""
        self._on_message = on_message

    def feed(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise BadAnswer(
                "It sent more than its channel may carry. Run the job again; if it happens again, report it."
            )
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        message = _parsed(line)
        if self.last is not None:
            raise BadAnswer("It went on sending after its last message. The model's own code may have written there.")
        if isinstance(message, Done | Failed):
            self.last = message
        self._on_message(message)


class LogReader:
    """Keeps what a child prints, up to `limit` bytes."""

    def __init__(self, limit: int, on_log: Callable[[bytes], None]) -> None:
        self._limit = self._left = limit
        self._on_log = on_log

    def feed(self, data: bytes) -> None:
        kept = data[: self._left]
        self._left -= len(kept)
        if kept:
            self._on_log(kept)
        if len(kept) < len(data):
            raise LogLimit(f"It was ended after {self._limit} bytes of output. Remove what the model prints.")


def answer_of(task: Task, last: Done | Failed) -> Answer:
    """The child's answer, checked against the task's schema. Raises `Reported` or `BadAnswer`."""
    if isinstance(last, Failed):
        raise reported(last.problem)
    try:
        return ANSWERS[task.kind].model_validate(last.answer, strict=False)  # type: ignore[return-value]
    except ValidationError as error:
        raise BadAnswer(f"Its answer to a task of kind {task.kind} doesn't have the agreed form.") from error


def _parsed(line: bytes) -> Message:
    try:
        return MESSAGE.validate_json(line)
    except ValidationError as error:
        raise BadAnswer("It sent a line that is not a message. The model's own code may have written there.") from error


def reported(problem: ProblemBody) -> Reported:
    """What a child says is made harmless first."""
    code = problem.code if problem.code.isidentifier() and len(problem.code) <= 64 else "model_failed"
    return Reported(_plain(problem.detail), code=code, title=_plain(problem.title), step=problem.step)


def _plain(text: str) -> str:
    """Without control characters, which could move a terminal's cursor, and of bounded length."""
    return "".join(character if character.isprintable() else " " for character in text[:_LONGEST_TEXT])

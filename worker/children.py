"""Runs one task in one child: `run_child` is all that the rest of the worker needs.

The child is not trusted. It gets a folder and two pipes; what it sends is checked, what it uses is watched, and it
is gone before `run_child` returns or raises.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from app.core.messages import Message
from app.core.tasks import TASK, Answer, Task
from worker.child_process import started
from worker.limits import Limits
from worker.messages import LogReader, MessageReader, answer_of
from worker.watch import Watch

PERFORM = "worker.pipeline:perform"


def run_child(
    folder: Path,
    task: Task,
    limits: Limits,
    *,
    on_message: Callable[[Message], None],
    on_log: Callable[[bytes], None],
    on_memory: Callable[[float], None],
    stop: threading.Event,
    perform: str = PERFORM,
    allow_unsandboxed: bool = False,
) -> Answer:
    """Do `task` in a child over `folder` and return its checked answer.

    `perform` names the function that the child calls, as `module:function`. What the child prints goes to `on_log`;
    `on_memory` is told in the end how many megabytes it was seen to hold. Raises a `ChildFailure`; whatever
    `on_message` or `on_log` raises ends the child too. Setting `stop` ends it within about a second.
    """
    outputs = folder / "outputs"
    outputs.mkdir(exist_ok=True)
    (folder / "task.json").write_bytes(TASK.dump_json(task))
    messages, log = MessageReader(limits.message_bytes, on_message), LogReader(limits.log_bytes, on_log)
    with started(folder, perform, limits.disk_mb, allow_unsandboxed) as child:
        watch = Watch(child, outputs, limits, stop)
        watch.until_answered(messages, log)
    on_memory(watch.peak_memory_mb)
    assert messages.last is not None
    return answer_of(task, messages.last)

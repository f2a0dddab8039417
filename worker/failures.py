"""How a child can end without an answer, each as a sentence that a person can act on.

ChildFailure        retry: whether the same job may succeed when it is run again
  OutOfMemory, TimeLimit, LogLimit, DiskLimit      a limit of the job ended it
  DiskFull          nothing more can be written, or hardly anything
  ChildCrashed      a fault in the model or a library ended it
  WorkerLost        it was ended from outside (retried)
  BadAnswer         what it sent can't be understood
  SandboxMissing    this machine can't shut the model's own code in
  Canceled          it was asked to end
  Reported          it said itself what went wrong
"""

from typing import ClassVar

from app.core.errors import Problem


class ChildFailure(Problem):
    status: ClassVar[int] = 422


class OutOfMemory(ChildFailure):
    default_code, default_title = "out_of_memory", "The job needs more memory than it may use"


class TimeLimit(ChildFailure):
    default_code, default_title = "time_limit", "The job took longer than it may take"


class LogLimit(ChildFailure):
    default_code, default_title = "log_limit", "The job printed more than it may print"


class DiskLimit(ChildFailure):
    default_code, default_title = "disk_limit", "The job wrote more than it may write"


class DiskFull(ChildFailure):
    status = 507
    default_code, default_title = "out_of_space", "The disk is full"


class ChildCrashed(ChildFailure):
    default_code, default_title = "child_crashed", "The process that held the model crashed"


class WorkerLost(ChildFailure):
    status, retry = 503, True
    default_code, default_title = "worker_lost", "The process that held the model was ended from outside"


class BadAnswer(ChildFailure):
    default_code, default_title = "bad_answer", "The process that held the model gave no valid answer"


class SandboxMissing(ChildFailure):
    default_code, default_title = "sandbox_missing", "This machine can't run the model's own code safely"


OWN_CODE = frozenset({"torchscript", "exported_program"})


def own_code_refused() -> SandboxMissing:
    return SandboxMissing(
        "Loading this format runs code from the file, and this machine has no Landlock or no seccomp that holds to "
        "shut it in. Run the worker on Linux 5.13 or later with Landlock switched on, upload a state dict instead, "
        "or, if you trust everyone who can upload, set MODELPRESS_ALLOW_UNSANDBOXED=true."
    )


class Canceled(ChildFailure):
    status = 409
    default_code, default_title = "canceled", "The job was canceled"


class Reported(ChildFailure):
    """Carries the code, title and detail that the child gave."""

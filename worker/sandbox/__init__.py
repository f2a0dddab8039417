"""What a child may not do.

A child runs code that a stranger wrote: loading a model is running it. So before it opens the upload it gives up, for
good, every file but its job's folder and the installed libraries, the network, other processes and programs. Two walls,
both made by the kernel and free of further dependencies: Landlock for files (`landlock.py`), seccomp for system calls
(`seccomp.py`). They work for ordinary users and inside containers.

`self_test.py` tries every forbidden act for real and says what came of it.
"""

from worker.sandbox.enter import NotAlone, enter
from worker.sandbox.level import Level, level

__all__ = ["Level", "NotAlone", "enter", "level"]

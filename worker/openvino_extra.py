"""OpenVINO and NNCF: the extra `openvino`. Only a child imports them, and only when one is needed."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from typing import Any

from app.core.errors import Problem

PACKAGES = ("openvino", "nncf")


def is_installed() -> bool:
    return installed() == PACKAGES


def installed() -> tuple[str, ...]:
    return tuple(name for name in PACKAGES if find_spec(name) is not None)


def openvino() -> Any:
    """The module `openvino`."""
    _check_installed()
    _keep_to_itself()
    import openvino as module

    return module


def nncf() -> Any:
    """The module `nncf`."""
    _check_installed()
    _keep_to_itself()
    import nncf as module

    module.set_log_level(logging.ERROR)
    return module


@contextmanager
def unheard() -> Iterator[None]:
    """Keeps NNCF's tables and progress bars out of the job's log."""
    with redirect_stdout(StringIO()):
        yield


def _check_installed() -> None:
    if not is_installed():
        raise Problem(
            "This worker has no OpenVINO. Install its extra there (pip install 'modelpress[openvino]') and send the "
            "job again, or ask for another format in `outputs`.",
            code="output_unavailable",
            title="The worker can't write this format",
        )


def _keep_to_itself() -> None:
    """Both tell their maker how they are used, unless this package is missing. The sandbox would stop that too, but
    not without warnings in the job's log; and a worker may run without one."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

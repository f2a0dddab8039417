"""What the service's processes say of themselves, on standard error: standard output is for answers."""

import logging
import sys

import structlog

from app.core.settings import LogLevel


def _for_people() -> structlog.typing.Processor:
    """Tracebacks without the values of local variables, which may be secrets."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def log_to_stderr(level: LogLevel) -> None:
    """For people on a terminal, else a JSON object a line."""
    for_people = sys.stderr.isatty()
    last = _for_people() if for_people else structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *([] if for_people else [structlog.processors.format_exc_info]),
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

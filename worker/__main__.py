"""`python -m worker`: one worker over the database and the files that the MODELPRESS_* settings name."""

import os
import socket

import structlog

from app.core.sandbox import SandboxReport
from app.core.service_log import log_to_stderr
from app.core.settings import Settings
from worker import forkserver
from worker.sandbox.self_test import self_test

log = structlog.get_logger()


def main() -> None:
    """Until SIGTERM or SIGINT; running jobs then go back to the queue."""
    settings = Settings()
    log_to_stderr(settings.log_level)
    forkserver.prepare()
    # Imported while the fork server imports torch.
    from app.core.database import Database
    from worker.supervisor import supervise

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.url)
    try:
        database.migrate()
        report = self_test(settings.work_dir.resolve())
        _tell(report)
        supervise(settings, database, f"{socket.gethostname()}.{os.getpid()}", report)
    finally:
        database.close()


def _tell(report: SandboxReport) -> None:
    log.info("sandbox tested", sandbox=report.level, ok=report.ok, missing=report.missing)
    for result in report.results:
        if not result.ok:
            log.error("sandbox doesn't hold", act=result.act, expected=result.expected, seen=result.seen)


if __name__ == "__main__":
    main()

"""What a worker does for studies: when one of their jobs has ended, and now and then."""

import time

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.checkpoints import forget
from app.core.database import Database
from app.core.errors import Problem
from app.core.storage import Storage
from app.core.studies.sharing import UNENDED
from app.core.tables import JobRow, StudyRow
from worker.search.advancing import advance_search

log = structlog.get_logger()


def advance(database: Database, storage: Storage, study_id: str, slots: int) -> None:
    """A search gets its next trials; what is kept for a study that is over is forgotten."""
    try:
        advance_search(database, study_id, slots)
    except Problem as problem:
        log.warning("search not advanced", study=study_id, problem=problem.detail)
    except Exception:  # what is wrong with one search mustn't end the thread that works on all jobs
        log.exception("search not advanced", study=study_id)
    with database.reading() as session:
        study = session.get(StudyRow, study_id)
    if study is None or study.status not in UNENDED:
        forget(storage, study_id)


def advance_open(database: Database, storage: Storage, slots: int) -> None:
    """Searches whose time is over, or that were left without a job when a worker was lost."""
    with database.reading() as session:
        unended = session.scalars(select(StudyRow).where(StudyRow.open, StudyRow.status.in_(UNENDED))).all()
        due = [study.id for study in unended if _is_due(session, study)]
    for study_id in due:
        advance(database, storage, study_id, slots)


def _is_due(session: Session, study: StudyRow) -> bool:
    """Without reading its jobs' results, since it is asked often."""
    seconds = study.request["search"]["seconds"]
    is_over = study.started_at is not None and time.time() - study.started_at > seconds
    unended = select(JobRow.id).where(JobRow.study_id == study.id, JobRow.status.in_(UNENDED))
    return is_over or session.scalar(unended.limit(1)) is None

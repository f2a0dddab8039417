"""What a worker does for a study when one of its jobs has ended."""

from app.core.checkpoints import forget
from app.core.database import Database
from app.core.storage import Storage
from app.core.studies.sharing import UNENDED
from app.core.tables import StudyRow


def advance(database: Database, storage: Storage, study_id: str) -> None:
    with database.reading() as session:
        study = session.get(StudyRow, study_id)
    if study is None or study.status not in UNENDED:
        forget(storage, study_id)

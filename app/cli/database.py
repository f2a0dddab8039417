"""The service's own database, for commands that work where it lies."""

from app.core.database import Database
from app.core.settings import Settings


def open_database() -> Database:
    """Brought to this version first, so that a command may be the first thing ever run in a data folder."""
    settings = Settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.url)
    database.migrate()
    return database

from pathlib import Path

import pytest

from app.core.database import Database
from app.core.logs import Logs
from app.core.settings import Settings
from app.core.storage import Storage


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", retry_seconds=0.001, orphan_seconds=0.0)


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return Storage(settings.files_dir)


@pytest.fixture
def logs(settings: Settings) -> Logs:
    return Logs(settings.logs_dir)


@pytest.fixture
def database(settings: Settings, storage: Storage):
    database = Database(settings.url)
    database.migrate()
    yield database
    database.close()

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api.context import Context
from app.core.settings import Settings
from app.main import create_app

LOCAL_URL = "http://127.0.0.1:8000"
EXAMPLES = Path(__file__).parents[2] / "examples"
TORCHSCRIPT = EXAMPLES / "mnist_cnn.torchscript.pt"
STATE_DICT = EXAMPLES / "mnist_cnn.state_dict.pt"
ARCHITECTURE = EXAMPLES / "mnist_cnn.architecture.json"
DATASET = EXAMPLES / "mnist5k.npz"


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Settings(data_dir=tmp_path_factory.mktemp("migrated"))
    database = create_app(settings).state.context.database
    database.migrate()
    database.close()
    return settings.data_dir / "modelpress.db"


@pytest.fixture
def data_dir(tmp_path: Path, migrated_database: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copyfile(migrated_database, folder / "modelpress.db")
    return folder


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir, min_free_bytes=0)


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def context(app: FastAPI) -> Context:
    return app.state.context


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=LOCAL_URL) as client:
        yield client

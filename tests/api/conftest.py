import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api.context import Context
from app.core import artifacts, jobs
from app.core.queue import Queue
from app.core.settings import Settings
from app.main import create_app
from tests.core.rows import dataset_row, model_row
from tests.core.test_artifacts import RESULT

LOCAL_URL = "http://127.0.0.1:8000"
EXAMPLES = Path(__file__).parents[2] / "examples"
TORCHSCRIPT = EXAMPLES / "mnist_cnn.torchscript.pt"
STATE_DICT = EXAMPLES / "mnist_cnn.state_dict.pt"
ARCHITECTURE = EXAMPLES / "mnist_cnn.architecture.json"
DATASET = EXAMPLES / "mnist5k.npz"


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """A server's thread may log when the output that pytest caught is closed already."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


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


@pytest.fixture
def model(context: Context) -> str:
    """A model that was inspected, without its file."""
    with context.database.writing() as session:
        session.add(model_row("model_1"))
    return "model_1"


@pytest.fixture
def dataset(context: Context) -> str:
    with context.database.writing() as session:
        session.add(dataset_row("dataset_1"))
    return "dataset_1"


@pytest.fixture
def finished_job(context: Context, tmp_path: Path) -> str:
    """A job that succeeded and made a network and its reports."""
    queue = Queue(context.database, context.settings, "worker-1")
    with context.database.writing() as session:
        jobs.queue_row(session, jobs.new_row("local", "compress", {}, None, None))
    claim = queue.claim(("compress",))
    assert claim is not None
    files = {name: tmp_path / name for name in ("model.onnx", "report.html", "report.md", "report.json")}
    for name, path in files.items():
        path.write_text(f"this is {name}")
    artifacts.publish(context.database, context.storage, queue, claim, files, RESULT)
    return claim.job

# Fixtures are imported to be found, and named again to be asked for.
# ruff: noqa: F401, F811
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from app.client import Client
from tests.api.conftest import (
    app,
    context,
    data_dir,
    dataset,
    finished_job,
    migrated_database,
    model,
    settings,
)
from tests.api.live import served


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    """Of an API without a worker: what is queued stays queued."""
    with capture_logs(), served(app) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as opened:
        yield opened

"""The web service: `create_app()` puts it together and starts nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.api import (
    artifacts,
    datasets,
    documentation_pages,
    events,
    health,
    jobs,
    metrics,
    models,
    plans,
    presets,
    sensitivity,
    studies,
    techniques,
    version,
)
from app.api.context import Context
from app.api.documentation import PAGES, new_documented_app
from app.api.middleware.browser_guard import BrowserGuard
from app.api.middleware.lingering_close import LingeringClose
from app.api.middleware.request_context import RequestContext
from app.api.middleware.security_headers import SecurityHeaders
from app.api.problems import install_problem_handlers
from app.core.database import Database
from app.core.logs import Logs
from app.core.settings import Settings
from app.core.storage import Storage

RESOURCES = (
    models, sensitivity, datasets, jobs, plans, events, artifacts, studies, techniques, presets, health, metrics,
    version,
)  # fmt: skip


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings()
    context = Context(settings, Database(settings.url), Storage(settings.files_dir), Logs(settings.logs_dir))
    app = new_documented_app(needs_keys=context.needs_keys, lifespan=_lifespan)
    app.state.context = context
    install_problem_handlers(app)
    app.add_middleware(BrowserGuard, settings=settings)  # innermost: the last one added comes first
    app.add_middleware(LingeringClose)
    app.add_middleware(RequestContext)
    app.add_middleware(SecurityHeaders, policies=PAGES)
    for resource in (*RESOURCES, documentation_pages):
        app.include_router(resource.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.context.database.close()

"""What every route works with: the settings, the database, the files, and who is asking."""

from dataclasses import dataclass, field
from threading import Event
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.core import keys
from app.core.database import Database
from app.core.errors import Unauthorized
from app.core.keys import LOCAL, Caller, Scope
from app.core.logs import Logs
from app.core.settings import Settings
from app.core.storage import Storage


@dataclass(frozen=True)
class Context:
    settings: Settings
    database: Database
    storage: Storage
    logs: Logs
    stopping: Event = field(default_factory=Event)
    """Set when the process is asked to end: answers that wait for something end too."""

    @property
    def needs_keys(self) -> bool:
        return not (self.settings.on_loopback() or self.settings.insecure)


def get_context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


ContextDependency = Annotated[Context, Depends(get_context)]
_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A key made by `modelpress keys create`. None is needed where the service listens on a loopback "
    "address only.",
)


def get_caller(
    context: ContextDependency, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
) -> Caller:
    if credentials is not None:
        return keys.authenticate(context.database, credentials.credentials)
    if context.needs_keys:
        raise Unauthorized(
            "Send a key in the header `Authorization: Bearer mp_…`. `modelpress keys create NAME --scope …` makes one."
        )
    return LOCAL


def caller_with(scope: Scope) -> Any:
    """The caller, as a route's dependency; refused where the key lacks `scope`."""

    def get_permitted_caller(caller: Annotated[Caller, Depends(get_caller)]) -> Caller:
        caller.require(scope)
        return caller

    return Depends(get_permitted_caller)

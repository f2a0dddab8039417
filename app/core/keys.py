"""Who is asking, and what they may do."""

import hashlib
import secrets
import time
from collections.abc import Sequence
from typing import Literal, get_args

from sqlalchemy import func, select

from app.core.database import Database
from app.core.errors import Forbidden, Invalid, NotFound, Unauthorized
from app.core.ids import new_id
from app.core.schemas import Schema
from app.core.tables import KeyRow
from app.core.times import Time

Scope = Literal[
    "models:read", "models:write", "datasets:read", "datasets:write",
    "jobs:read", "jobs:write", "studies:read", "studies:write", "admin",
]  # fmt: skip
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "mp_"


class Caller(Schema):
    """`id` owns what the caller makes; an admin sees everything."""

    id: str
    scopes: frozenset[str]

    @property
    def is_admin(self) -> bool:
        return "admin" in self.scopes

    def may_see(self, owner: str) -> bool:
        return self.is_admin or owner == self.id

    def require(self, scope: Scope) -> None:
        if not self.is_admin and scope not in self.scopes:
            raise Forbidden(f"This key lacks the scope {scope}. Use a key that has it.", code="scope_missing")


LOCAL = Caller(id="local", scopes=frozenset({"admin"}))


class Key(Schema):
    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: Time
    revoked: bool


def create_key(database: Database, name: str, scopes: Sequence[str]) -> tuple[Key, str]:
    """The key's record and its secret, which is shown this once and not kept."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise Invalid(f"Unknown scope {unknown}: give one or more of {', '.join(SCOPES)}.", code="unknown_scope")
    secret = PREFIX + secrets.token_urlsafe(32)
    row = KeyRow(
        id=new_id("key"),
        name=name,
        prefix=secret[:10],
        digest=_digest(secret),
        scopes=sorted(set(scopes)),
        created_at=time.time(),
        revoked_at=None,
    )
    with database.writing() as session:
        session.add(row)
    return _present(row), secret


def create_first_key(database: Database) -> str | None:
    """An admin key if there is no key at all, else None."""
    with database.reading() as session:
        if session.scalar(select(func.count()).select_from(KeyRow)):
            return None
    return create_key(database, "first admin key", ["admin"])[1]


def authenticate(database: Database, secret: str) -> Caller:
    digest = _digest(secret)
    with database.reading() as session:
        row = session.scalar(select(KeyRow).where(KeyRow.digest == digest))
    if row is None or row.revoked_at is not None or not secrets.compare_digest(row.digest, digest):
        raise Unauthorized("The key is unknown or was revoked. Make one with `modelpress keys create NAME --scope …`.")
    return Caller(id=row.id, scopes=frozenset(row.scopes))


def list_keys(database: Database) -> tuple[Key, ...]:
    with database.reading() as session:
        return tuple(map(_present, session.scalars(select(KeyRow).order_by(KeyRow.id))))


def revoke_key(database: Database, key_id: str) -> Key:
    with database.writing() as session:
        row = session.get(KeyRow, key_id)
        if row is None:
            raise NotFound(f"There is no key {key_id}. `modelpress keys list` shows all.")
        row.revoked_at = row.revoked_at or time.time()
        return _present(row)


def _present(row: KeyRow) -> Key:
    return Key.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "prefix": row.prefix,
            "scopes": row.scopes,
            "created_at": row.created_at,
            "revoked": row.revoked_at is not None,
        }
    )


def _digest(secret: str) -> str:
    """A key has 256 random bits, so a plain hash is as hard to undo as a slow one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

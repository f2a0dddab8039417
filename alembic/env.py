"""Runs migrations over the connection it is given, or over MODELPRESS_DATABASE_URL's."""

from sqlalchemy import Connection

from alembic import context
from app.core.database import Database
from app.core.settings import Settings
from app.core.tables import Table


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with Database(Settings().url).connecting() as own:
        run(own)

"""Alembic's entry: migrations run on the portal's own engine, SQLite and PostgreSQL alike.

On SQLite a changed table is rebuilt, which must not fire its foreign keys: they are off meanwhile, and
checked before the change is kept. Before an upgrade the database of an earlier release is repaired, in the same
transaction (see portal/operations/schema_repairs.py).
"""

from typing import Any

import click
from alembic import context

from portal.core.db import Base, UTCDateTime, db
from portal.operations.schema_repairs import ACCEPT, prepare_upgrade


def run() -> None:
    engine = db.engine
    with engine.connect() as connection:
        sqlite = engine.dialect.name == "sqlite"
        if sqlite:
            _pragma(connection, "foreign_keys=OFF")  # has no effect inside a transaction
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            compare_type=True,
            transactional_ddl=True,
            render_item=_render_item,
        )
        with context.begin_transaction():
            if _is_upgrade():
                prepare_upgrade(
                    connection,
                    _planned_revisions,
                    accepted=ACCEPT in context.get_x_argument(),
                    say=click.echo,
                )
            context.run_migrations()
            if sqlite:
                _check_foreign_keys(connection)
        if sqlite:
            _pragma(connection, "foreign_keys=ON")


def _is_upgrade() -> bool:
    """Alembic runs this file for every command that looks at the database, and names the command's own function."""
    return context.get_context().opts["fn"].__name__ == "upgrade"


def _planned_revisions() -> set[str]:
    """The revisions between the database's own and the one that was asked for."""
    migration = context.get_context()
    steps = migration.script.iterate_revisions(
        context.get_revision_argument(), migration.get_current_heads(), implicit_base=True
    )
    return {one.revision for one in steps}


def _pragma(connection: Any, text: str) -> None:
    connection.connection.dbapi_connection.execute(f"PRAGMA {text}")


def _check_foreign_keys(connection: Any) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        tables = sorted({row[0] for row in broken})
        raise RuntimeError(f"rows would lose what they refer to, in: {', '.join(tables)}")


def _render_item(kind: str, item: Any, _context: Any) -> str | bool:
    """A migration must not depend on the portal's code, which moves on: our time type is a plain one there."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False


run()

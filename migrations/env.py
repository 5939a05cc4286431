"""Alembic's entry: migrations run on the portal's own engine, SQLite and PostgreSQL alike.

On SQLite a changed table is rebuilt, which must not fire its foreign keys: they are off meanwhile, and
checked before the change is kept.
"""

from typing import Any

from alembic import context

from portal.core.db import Base, UTCDateTime, db


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
            context.run_migrations()
            if sqlite:
                _check_foreign_keys(connection)
        if sqlite:
            _pragma(connection, "foreign_keys=ON")


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

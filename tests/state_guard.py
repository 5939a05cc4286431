"""A guard in the tests' database: a change of state that the tables of transitions do not list is refused there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

from sqlalchemy import Engine

from portal.attendance.states import SHEET_TRANSITIONS
from portal.meetings.states import MEETING_TRANSITIONS, OCCURRENCE_TRANSITIONS
from portal.registration.states import REGISTRANT_TRANSITIONS

GUARDED: dict[str, Mapping[StrEnum, frozenset[StrEnum]]] = {
    "zoom_meetings": MEETING_TRANSITIONS,  # type: ignore[dict-item]  # a StrEnum of its own each
    "meeting_occurrences": OCCURRENCE_TRANSITIONS,  # type: ignore[dict-item]
    "meeting_registrants": REGISTRANT_TRANSITIONS,  # type: ignore[dict-item]
    "attendance_sheets": SHEET_TRANSITIONS,  # type: ignore[dict-item]
}


def install_state_guards(engine: Engine) -> None:
    """Triggers on the tables above; installing them twice is harmless."""
    with engine.begin() as connection:
        for table, transitions in GUARDED.items():
            listed = " OR ".join(
                f"(OLD.state = '{before}' AND NEW.state = '{after}')"
                for before, afters in transitions.items()
                for after in sorted(afters)
            )
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(
                    f"""CREATE OR REPLACE FUNCTION guard_{table}() RETURNS trigger AS $$ BEGIN
                    IF NOT ({listed}) THEN
                        RAISE EXCEPTION '{table}: %% does not lead to %%', OLD.state, NEW.state;
                    END IF; RETURN NEW; END $$ LANGUAGE plpgsql"""
                )
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS guard_state ON {table}")
                connection.exec_driver_sql(
                    f"CREATE TRIGGER guard_state BEFORE UPDATE OF state ON {table} FOR EACH ROW "
                    f"WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION guard_{table}()"
                )
            else:
                connection.exec_driver_sql(
                    f"CREATE TRIGGER IF NOT EXISTS guard_{table} BEFORE UPDATE OF state ON {table} "
                    f"WHEN OLD.state <> NEW.state AND NOT ({listed}) "
                    f"BEGIN SELECT RAISE(ABORT, '{table}: a change of state that is not listed'); END"
                )


@contextmanager
def without_state_guards(engine: Engine) -> Iterator[None]:
    """Drop the triggers for a test that takes the schema down and up again, and install them anew afterwards."""
    with engine.begin() as connection:
        for table in GUARDED:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS guard_state ON {table}")
            else:
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS guard_{table}")
    yield
    install_state_guards(engine)

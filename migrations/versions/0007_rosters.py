"""rosters: a learner is on at most one roster a day, and the database sees to it

Revision: 0007, after 0006.

Triggers on both kinds, because PostgreSQL's exclusion constraint wants an extension that the database's owner may
not be allowed to add. On PostgreSQL the learner's row is locked first, so that two transactions cannot both find
the days free. A later migration that rebuilds `enrolments` on SQLite must make the triggers again.
"""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

enrolments = sa.table(
    "enrolments",
    sa.column("id", sa.Uuid()),
    sa.column("learner_id", sa.Uuid()),
    sa.column("from_date", sa.Date()),
    sa.column("until_date", sa.Date()),
    sa.column("reason", sa.String()),
)
OVERLAPS = """
    SELECT 1 FROM enrolments other
    WHERE other.learner_id = NEW.learner_id AND other.id <> NEW.id
      AND other.from_date <= COALESCE(NEW.until_date, '9999-12-31')
      AND COALESCE(other.until_date, '9999-12-31') >= NEW.from_date
"""


def upgrade() -> None:
    _part_overlaps()
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"""
            CREATE FUNCTION enrolments_one_roster_a_day() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM 1 FROM learners WHERE id = NEW.learner_id FOR NO KEY UPDATE;
                IF EXISTS ({OVERLAPS}) THEN
                    RAISE EXCEPTION 'the learner is on a roster on one of these days'
                        USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'enrolments_one_roster_a_day';
                END IF;
                RETURN NEW;
            END $$
        """)  # noqa: S608  # a constant of this file
        op.execute("""
            CREATE TRIGGER enrolments_one_roster_a_day
            BEFORE INSERT OR UPDATE OF learner_id, from_date, until_date ON enrolments
            FOR EACH ROW EXECUTE FUNCTION enrolments_one_roster_a_day()
        """)
        return
    for name, when in (("insert", "INSERT"), ("update", "UPDATE OF learner_id, from_date, until_date")):
        op.execute(f"""
            CREATE TRIGGER enrolments_one_roster_a_day_{name} BEFORE {when} ON enrolments
            WHEN EXISTS ({OVERLAPS})
            BEGIN SELECT RAISE(ABORT, 'the learner is on a roster on one of these days'); END
        """)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER enrolments_one_roster_a_day ON enrolments")
        op.execute("DROP FUNCTION enrolments_one_roster_a_day()")
        return
    op.execute("DROP TRIGGER enrolments_one_roster_a_day_insert")
    op.execute("DROP TRIGGER enrolments_one_roster_a_day_update")


def _part_overlaps() -> None:
    """Part times that earlier versions let overlap. The roster a learner is on now stays; a time that would keep
    no day goes."""
    rows = op.get_bind().execute(sa.select(enrolments).order_by(enrolments.c.learner_id)).mappings().all()
    by_learner: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        by_learner.setdefault(row["learner_id"], []).append(dict(row))
    for times in by_learner.values():
        if len(times) > 1:
            _part(times)


def _part(times: list[dict[str, Any]]) -> None:
    before = {row["id"]: dict(row) for row in times}
    one_day = timedelta(days=1)
    without_end = sorted((row for row in times if row["until_date"] is None), key=lambda row: row["from_date"])
    for row, later in pairwise(without_end):  # the later one is where she is
        row["until_date"] = later["from_date"] - one_day
        row["reason"] = row["reason"] or "moved to another section"
    free_from = date.min
    for row in sorted(times, key=lambda row: row["until_date"] or date.max):
        row["from_date"] = max(row["from_date"], free_from)
        if row["until_date"] is not None and row["until_date"] < row["from_date"]:
            op.execute(enrolments.delete().where(enrolments.c.id == row["id"]))
            continue
        if row != before[row["id"]]:
            _write(row)
        if row["until_date"] is not None:
            free_from = row["until_date"] + one_day


def _write(row: dict[str, Any]) -> None:
    op.execute(
        enrolments.update()
        .where(enrolments.c.id == row["id"])
        .values(from_date=row["from_date"], until_date=row["until_date"], reason=row["reason"])
    )

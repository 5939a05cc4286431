"""tallies: the marks of each sheet counted, so that a report adds up sheets and not learners

Revision: 0014, after 0013. Sheets that are there are counted.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
COUNTS = ("present", "partial", "absent", "review", "pending", "seconds")


def upgrade() -> None:
    op.create_table(
        "attendance_tallies",
        sa.Column("occurrence_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTS),
        sa.Column("ran_seconds", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["meeting_occurrences.id"],
            name=op.f("fk_attendance_tallies_occurrence_id_meeting_occurrences"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("occurrence_id", name=op.f("pk_attendance_tallies")),
    )
    op.execute(
        """
        INSERT INTO attendance_tallies
            (occurrence_id, present, partial, absent, review, pending, seconds)
        SELECT occurrence_id,
               SUM(CASE WHEN mark = 'present' THEN 1 ELSE 0 END),
               SUM(CASE WHEN mark = 'partial' THEN 1 ELSE 0 END),
               SUM(CASE WHEN mark = 'absent' THEN 1 ELSE 0 END),
               SUM(CASE WHEN mark = 'needs review' THEN 1 ELSE 0 END),
               SUM(CASE WHEN mark = 'pending' THEN 1 ELSE 0 END),
               SUM(CASE WHEN mark IN ('present', 'partial') THEN seconds ELSE 0 END)
          FROM (SELECT occurrence_id, seconds, COALESCE(final_mark, override_mark, computed_mark) AS mark
                  FROM attendance_records) AS marks
         GROUP BY occurrence_id
        """
    )


def downgrade() -> None:
    op.drop_table("attendance_tallies")

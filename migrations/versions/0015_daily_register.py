"""daily register: what the adviser records of a day; how a learner came; the cut-off day of a section

Revision: 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "daily_attendance",
        sa.Column("section_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("mark", sa.String(length=8), nullable=False),
        sa.Column("tardy", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("set_by", sa.Uuid(), nullable=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("mark IN ('present', 'absent')", name=op.f("ck_daily_attendance_mark")),
        sa.CheckConstraint("tardy IN ('', 'late', 'cutting', 'both')", name=op.f("ck_daily_attendance_tardy")),
        sa.CheckConstraint("tardy = '' OR mark = 'present'", name=op.f("ck_daily_attendance_tardy_is_present")),
        sa.ForeignKeyConstraint(
            ["section_id"], ["sections.id"], name=op.f("fk_daily_attendance_section_id_sections")
        ),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["learners.id"], name=op.f("fk_daily_attendance_learner_id_learners")
        ),
        sa.ForeignKeyConstraint(
            ["set_by"], ["users.id"], name=op.f("fk_daily_attendance_set_by_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_daily_attendance")),
        sa.UniqueConstraint(
            "section_id", "day", "learner_id", name=op.f("uq_daily_attendance_section_id_day_learner_id")
        ),
    )
    op.create_index("ix_daily_attendance_learner_id", "daily_attendance", ["learner_id"])
    op.add_column("enrolments", sa.Column("came_by", sa.String(length=4), nullable=True))
    op.add_column("sections", sa.Column("cut_off", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("sections", "cut_off")
    op.drop_column("enrolments", "came_by")
    op.drop_index("ix_daily_attendance_learner_id", "daily_attendance")
    op.drop_table("daily_attendance")

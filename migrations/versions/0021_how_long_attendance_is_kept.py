"""how long a school keeps attendance, and which sections' attendance is gone

Revision: 0021, after 0020.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("schools") as table:
        table.add_column(sa.Column("attendance_years", sa.Integer(), nullable=True))
        table.create_check_constraint(op.f("ck_schools_attendance_years"), "attendance_years BETWEEN 2 AND 10")
    op.add_column("sections", sa.Column("attendance_deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_sections_attendance_deleted_at"), "sections", ["attendance_deleted_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_sections_attendance_deleted_at"), "sections")
    with op.batch_alter_table("sections") as table:
        table.drop_column("attendance_deleted_at")
    with op.batch_alter_table("schools") as table:
        table.drop_constraint(op.f("ck_schools_attendance_years"), type_="check")
        table.drop_column("attendance_years")

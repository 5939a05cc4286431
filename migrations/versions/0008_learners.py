"""learners: why one left in a word of the teacher's, closed classes, imports that can be undone for a day

Revision: 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Added in place, without a rebuild: that would take the triggers of `enrolments` along.
    op.add_column("enrolments", sa.Column("detail", sa.String(length=120), nullable=True))
    op.add_column("classes", sa.Column("closed_at", MOMENT, nullable=True))
    with op.batch_alter_table("roster_imports") as batch:
        batch.add_column(sa.Column("decided_at", MOMENT, nullable=True))
        batch.add_column(sa.Column("journal", sa.JSON(none_as_null=True), nullable=True))
        batch.drop_constraint(op.f("ck_roster_imports_state"), type_="check")
        batch.create_check_constraint(
            op.f("ck_roster_imports_state"), "state IN ('preview', 'confirmed', 'discarded', 'undone')"
        )


def downgrade() -> None:
    op.execute("UPDATE roster_imports SET state = 'discarded' WHERE state = 'undone'")
    with op.batch_alter_table("roster_imports") as batch:
        batch.drop_constraint(op.f("ck_roster_imports_state"), type_="check")
        batch.create_check_constraint(
            op.f("ck_roster_imports_state"), "state IN ('preview', 'confirmed', 'discarded')"
        )
        batch.drop_column("journal")
        batch.drop_column("decided_at")
    op.drop_column("classes", "closed_at")
    op.drop_column("enrolments", "detail")

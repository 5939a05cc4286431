"""class days: the region may declare them, too; schools: when one was closed

Revision: 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("class_days") as table:
        table.drop_constraint(op.f("ck_class_days_scope"), type_="check")
        table.create_check_constraint(
            op.f("ck_class_days_scope"), "scope IN ('national', 'region', 'division', 'school', 'section')"
        )
    op.add_column("schools", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("schools") as table:
        table.drop_column("closed_at")
    # What the region declared holds for the same schools as what the nation did.
    op.execute("UPDATE class_days SET scope = 'national' WHERE scope = 'region'")
    with op.batch_alter_table("class_days") as table:
        table.drop_constraint(op.f("ck_class_days_scope"), type_="check")
        table.create_check_constraint(
            op.f("ck_class_days_scope"), "scope IN ('national', 'division', 'school', 'section')"
        )

"""attendance: how many people on a sheet nobody has matched, so that lists can say it; open sheets are computed anew

Revision: 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "attendance_sheets", sa.Column("unmatched", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.execute(sa.text("UPDATE attendance_sheets SET dirty = true WHERE finalised_at IS NULL"))


def downgrade() -> None:
    with op.batch_alter_table("attendance_sheets") as table:
        table.drop_column("unmatched")

"""erasures: when the worker did what was asked; those of before were done at once

Revision: 0022, after 0021.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("erasures", sa.Column("carried_out_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_erasures_carried_out_at"), "erasures", ["carried_out_at"])
    op.execute(sa.text("UPDATE erasures SET carried_out_at = at"))


def downgrade() -> None:
    op.drop_index(op.f("ix_erasures_carried_out_at"), "erasures")
    with op.batch_alter_table("erasures") as table:
        table.drop_column("carried_out_at")

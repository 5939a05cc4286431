"""School Form 2 of a section: which classes make a day, who heads the school, which form on which paper

Revision: 0019, after 0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sections", sa.Column("day_rule", sa.String(length=5), nullable=False, server_default="any"))
    op.add_column("sections", sa.Column("school_head", sa.String(length=120), nullable=True))
    op.add_column("sections", sa.Column("sf2_form", sa.String(length=7), nullable=True))
    op.add_column("sections", sa.Column("sf2_paper", sa.String(length=4), nullable=False, server_default="a4"))


def downgrade() -> None:
    for name in ("sf2_paper", "sf2_form", "school_head", "day_rule"):
        op.drop_column("sections", name)

"""door wishes: who asks for a password or an account is answered by the worker, so that the page knows nobody

Revision: 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "door_wishes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("address_hash", sa.String(64), nullable=False),
        sa.Column("place_hash", sa.String(64), nullable=False),
        sa.Column("sealed", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('password', 'account')", name=op.f("ck_door_wishes_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_door_wishes")),
    )
    op.create_index("ix_door_wishes_place_hash_at", "door_wishes", ["place_hash", "at"])
    op.create_index("ix_door_wishes_address_hash_at", "door_wishes", ["address_hash", "at"])


def downgrade() -> None:
    op.drop_table("door_wishes")

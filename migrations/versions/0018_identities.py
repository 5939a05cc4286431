"""identities: who signs in with Google or Microsoft; states that came back; requests with an identity

Revision: 0018, after 0017.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_identities_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_identities_issuer_subject")),
    )
    op.create_index("ix_identities_user_id", "identities", ["user_id"])
    op.create_table(
        "spent_states",
        sa.Column("state_hash", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("state_hash", name=op.f("pk_spent_states")),
    )
    op.create_index("ix_spent_states_at", "spent_states", ["at"])
    op.add_column("account_requests", sa.Column("issuer", sa.String(length=255), nullable=True))
    op.add_column("account_requests", sa.Column("subject", sa.String(length=255), nullable=True))


def downgrade() -> None:
    op.drop_column("account_requests", "subject")
    op.drop_column("account_requests", "issuer")
    op.drop_index("ix_spent_states_at", "spent_states")
    op.drop_table("spent_states")
    op.drop_index("ix_identities_user_id", "identities")
    op.drop_table("identities")

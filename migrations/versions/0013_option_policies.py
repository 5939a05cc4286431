"""option policies: what a region, division or school says of Zoom's options in all its meetings

Revision: 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "option_policies",
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("place", sa.String(length=120), nullable=False),
        sa.Column("option", sa.String(length=40), nullable=False),
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("scope IN ('region', 'division', 'school')", name=op.f("ck_option_policies_scope")),
        sa.CheckConstraint(
            "option IN ('host_video', 'participant_video', 'join_before_host', 'mute_upon_entry', 'waiting_room', "
            "'auto_recording', 'meeting_authentication')",
            name=op.f("ck_option_policies_option"),
        ),
        sa.CheckConstraint(
            "rule IN ('forced on', 'default on', 'default off', 'not allowed')", name=op.f("ck_option_policies_rule")
        ),
        sa.ForeignKeyConstraint(
            ["set_by"], ["users.id"], name=op.f("fk_option_policies_set_by_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_option_policies")),
        sa.UniqueConstraint("scope", "place", "option", name=op.f("uq_option_policies_scope_place_option")),
    )


def downgrade() -> None:
    op.drop_table("option_policies")

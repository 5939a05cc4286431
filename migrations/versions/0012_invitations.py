"""invitations: who is invited to a meeting without a class, and the school whose teachers or people are

Revision: 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "meeting_invitations",
        sa.Column("meeting_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("invited_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["meeting_id"],
            ["zoom_meetings.id"],
            name=op.f("fk_meeting_invitations_meeting_id_zoom_meetings"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_meeting_invitations_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("meeting_id", "user_id", name=op.f("pk_meeting_invitations")),
    )
    op.create_index("ix_meeting_invitations_user_id", "meeting_invitations", ["user_id"])
    with op.batch_alter_table("zoom_meetings") as table:
        table.add_column(sa.Column("school_id", sa.Uuid(), nullable=True))
        table.create_foreign_key(op.f("fk_zoom_meetings_school_id_schools"), "schools", ["school_id"], ["id"])
        table.create_index("ix_zoom_meetings_school_id", ["school_id"])


def downgrade() -> None:
    with op.batch_alter_table("zoom_meetings") as table:
        table.drop_index("ix_zoom_meetings_school_id")
        table.drop_constraint(op.f("fk_zoom_meetings_school_id_schools"), type_="foreignkey")
        table.drop_column("school_id")
    op.drop_index("ix_meeting_invitations_user_id", table_name="meeting_invitations")
    op.drop_table("meeting_invitations")

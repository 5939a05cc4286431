"""notifications: what people are told and do not want to be told, marks on what was told; given-up letters are kept

Revision: 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
MOMENT = sa.DateTime(timezone=True)
KINDS = "kind IN ('scheduled', 'changed', 'cancelled', 'sheet ready', 'to match', 'registration failed')"
FAILED = "wanted AND NOT told AND state IN ('failed', 'denied', 'cancelled')"
READY = "NOT told AND counts AND state IN ('reconciled', 'unreported')"


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("thing", sa.String(length=100), nullable=False),
        sa.Column("meeting_id", sa.Uuid(), nullable=False),
        sa.Column("occurrence_id", sa.Uuid(), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("read_at", MOMENT, nullable=True),
        sa.Column("mail_at", MOMENT, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(KINDS, name=op.f("ck_notifications_kind")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_notifications_user_id_users"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["meeting_id"],
            ["zoom_meetings.id"],
            name=op.f("fk_notifications_meeting_id_zoom_meetings"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["meeting_occurrences.id"],
            name=op.f("fk_notifications_occurrence_id_meeting_occurrences"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("user_id", "kind", "thing", name=op.f("uq_notifications_user_id_kind_thing")),
    )
    op.create_index("ix_notifications_user_id_read_at", "notifications", ["user_id", "read_at"])
    op.create_index("ix_notifications_at", "notifications", ["at"])
    op.create_index("ix_notifications_meeting_id", "notifications", ["meeting_id"])
    op.create_index("ix_notifications_occurrence_id", "notifications", ["occurrence_id"])
    _index("ix_notifications_mail_at", "notifications", "mail_at", "mail_at IS NOT NULL")
    op.create_table(
        "notifications_off",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.CheckConstraint(KINDS, name=op.f("ck_notifications_off_kind")),
        sa.CheckConstraint("channel IN ('portal', 'mail')", name=op.f("ck_notifications_off_channel")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_notifications_off_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "kind", "channel", name=op.f("pk_notifications_off")),
    )
    for table in ("meeting_history", "meeting_registrants", "attendance_sheets"):
        op.add_column(table, sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.false()))
    # What is old is not told now, all at once.
    op.execute(sa.text("UPDATE meeting_history SET told = true"))
    op.execute(sa.text(f"UPDATE meeting_registrants SET told = true WHERE {FAILED}"))  # noqa: S608  # nosec B608
    op.execute(sa.text(f"UPDATE attendance_sheets SET told = true WHERE {READY}"))  # noqa: S608  # nosec B608
    _index("ix_meeting_history_untold", "meeting_history", "id", "NOT told")
    _index("ix_meeting_registrants_untold", "meeting_registrants", "meeting_id", FAILED)
    _index("ix_meeting_registrants_told", "meeting_registrants", "id", "told")
    _index("ix_attendance_sheets_untold", "attendance_sheets", "occurrence_id", READY)
    with op.batch_alter_table("mail_outbox") as letters:
        letters.drop_constraint(op.f("ck_mail_outbox_kept_only_while_waiting"), type_="check")
        letters.create_check_constraint(
            op.f("ck_mail_outbox_kept_while_waiting"), "state <> 'waiting' OR sealed IS NOT NULL"
        )
        letters.create_check_constraint(op.f("ck_mail_outbox_forgotten_once_sent"), "state <> 'sent' OR sealed IS NULL")


def downgrade() -> None:
    op.execute(sa.text("UPDATE mail_outbox SET sealed = NULL WHERE state <> 'waiting'"))
    with op.batch_alter_table("mail_outbox") as letters:
        letters.drop_constraint(op.f("ck_mail_outbox_kept_while_waiting"), type_="check")
        letters.drop_constraint(op.f("ck_mail_outbox_forgotten_once_sent"), type_="check")
        letters.create_check_constraint(
            op.f("ck_mail_outbox_kept_only_while_waiting"), "(state = 'waiting') = (sealed IS NOT NULL)"
        )
    op.drop_index("ix_attendance_sheets_untold", table_name="attendance_sheets")
    op.drop_index("ix_meeting_registrants_told", table_name="meeting_registrants")
    op.drop_index("ix_meeting_registrants_untold", table_name="meeting_registrants")
    op.drop_index("ix_meeting_history_untold", table_name="meeting_history")
    for table in ("attendance_sheets", "meeting_registrants", "meeting_history"):
        with op.batch_alter_table(table) as marked:
            marked.drop_column("told")
    op.drop_table("notifications_off")
    op.drop_table("notifications")


def _index(name: str, table: str, column: str, where: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))

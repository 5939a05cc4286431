"""evidence in full

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "portal_beats",
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_beats")),
    )
    op.create_index("ix_portal_beats_started_at", "portal_beats", ["started_at"])
    op.create_table(
        "missed_deliveries",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("zoom_meeting_id", sa.String(length=64), nullable=True),
        sa.Column("missed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_missed_deliveries")),
    )
    op.create_index("ix_missed_deliveries_missed_at", "missed_deliveries", ["missed_at"])
    _upgrade_attendance()


def downgrade() -> None:
    _downgrade_attendance()
    op.drop_table("missed_deliveries")
    op.drop_table("portal_beats")


def _upgrade_attendance() -> None:
    with op.batch_alter_table("sections") as table:
        table.add_column(sa.Column("late_grace_minutes", sa.Integer(), nullable=True))
    with op.batch_alter_table("zoom_participants") as table:
        table.add_column(sa.Column("nth", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("parent_session", sa.String(length=80), nullable=True))
        table.add_column(sa.Column("lasted_seconds", sa.Integer(), nullable=True))
        table.drop_constraint(op.f("uq_zoom_participants_instance_id_session_room"), type_="unique")
        table.create_unique_constraint(
            op.f("uq_zoom_participants_instance_id_session_room_source_nth"),
            ["instance_id", "session", "room", "source", "nth"],
        )
        table.drop_constraint(op.f("ck_zoom_participants_room"), type_="check")
        table.create_check_constraint(
            op.f("ck_zoom_participants_room"), "room IN ('meeting', 'waiting', 'breakout')"
        )
    with op.batch_alter_table("attendance_sheets") as table:
        table.add_column(sa.Column("counts", sa.Boolean(), nullable=False, server_default=sa.true()))
    with op.batch_alter_table("attendance_records") as table:
        table.add_column(sa.Column("late", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("left_early", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("attendance_history") as table:
        table.add_column(sa.Column("details", sa.JSON(), nullable=True))
    op.create_table(
        "participant_uploads",
        sa.Column("occurrence_id", sa.Uuid(), nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("instance_uuid", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.JSON(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "state IN ('preview', 'confirmed', 'discarded', 'taken back')", name=op.f("ck_participant_uploads_state")
        ),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["meeting_occurrences.id"],
            name=op.f("fk_participant_uploads_occurrence_id_meeting_occurrences"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["uploaded_by"], ["users.id"], name=op.f("fk_participant_uploads_uploaded_by_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participant_uploads")),
    )
    op.create_index("ix_participant_uploads_occurrence_id", "participant_uploads", ["occurrence_id"])


def _downgrade_attendance() -> None:
    op.drop_table("participant_uploads")
    with op.batch_alter_table("attendance_history") as table:
        table.drop_column("details")
    with op.batch_alter_table("attendance_records") as table:
        table.drop_column("late")
        table.drop_column("left_early")
    with op.batch_alter_table("attendance_sheets") as table:
        table.drop_column("counts")
    # The former key has room for one row a session and room: what the report said, else what the events said.
    op.execute("DELETE FROM zoom_participants WHERE nth > 0 OR lasted_seconds IS NOT NULL OR room = 'breakout'")
    op.execute(
        "DELETE FROM zoom_participants WHERE source = 'webhook' AND EXISTS ("
        "SELECT 1 FROM zoom_participants AS other WHERE other.source <> 'webhook'"
        " AND other.instance_id = zoom_participants.instance_id AND other.session = zoom_participants.session"
        " AND other.room = zoom_participants.room)"
    )
    with op.batch_alter_table("zoom_participants") as table:
        table.drop_constraint(op.f("uq_zoom_participants_instance_id_session_room_source_nth"), type_="unique")
        table.create_unique_constraint(
            op.f("uq_zoom_participants_instance_id_session_room"), ["instance_id", "session", "room"]
        )
        table.drop_constraint(op.f("ck_zoom_participants_room"), type_="check")
        table.create_check_constraint(op.f("ck_zoom_participants_room"), "room IN ('meeting', 'waiting')")
        table.drop_column("lasted_seconds")
        table.drop_column("parent_session")
        table.drop_column("nth")
    with op.batch_alter_table("sections") as table:
        table.drop_column("late_grace_minutes")

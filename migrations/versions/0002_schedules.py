"""schedules, hosts and quotas

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_key", sa.String(length=64), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("from_date", sa.Date(), nullable=False),
        sa.Column("until_date", sa.Date(), nullable=True),
        sa.Column("dates", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(until_date IS NULL) <> (dates IS NULL)", name=op.f("ck_schedules_ends_once")),
        sa.CheckConstraint(
            "until_date IS NULL OR until_date >= from_date", name=op.f("ck_schedules_ends_after_it_began")
        ),
        sa.ForeignKeyConstraint(["class_id"], ["classes.id"], name=op.f("fk_schedules_class_id_classes")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_schedules_created_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("client_key", name=op.f("uq_schedules_client_key")),
    )
    op.create_index("ix_schedules_class_id", "schedules", ["class_id"])
    op.create_table(
        "schedule_times",
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("start", sa.Time(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.CheckConstraint("weekday BETWEEN 1 AND 7", name=op.f("ck_schedule_times_weekday")),
        sa.CheckConstraint("minutes BETWEEN 1 AND 1440", name=op.f("ck_schedule_times_minutes")),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedules.id"],
            name=op.f("fk_schedule_times_schedule_id_schedules"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("schedule_id", "weekday", name=op.f("pk_schedule_times")),
    )
    op.create_table(
        "class_days",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("division", sa.String(), nullable=True),
        sa.Column("school_id", sa.Uuid(), nullable=True),
        sa.Column("section_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('holiday', 'suspended', 'class')", name=op.f("ck_class_days_kind")),
        sa.CheckConstraint(
            "scope IN ('national', 'division', 'school', 'section')", name=op.f("ck_class_days_scope")
        ),
        sa.CheckConstraint(
            "(scope = 'division') = (division IS NOT NULL) AND (scope = 'school') = (school_id IS NOT NULL)"
            " AND (scope = 'section') = (section_id IS NOT NULL)",
            name=op.f("ck_class_days_scope_has_its_place"),
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["schools.id"], name=op.f("fk_class_days_school_id_schools"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["section_id"], ["sections.id"], name=op.f("fk_class_days_section_id_sections"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["users.id"], name=op.f("fk_class_days_created_by_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_class_days")),
    )
    op.create_index("ix_class_days_date", "class_days", ["date"])
    op.create_table(
        "zoom_hosts",
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=True),
        sa.Column("licensed", sa.Boolean(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("email", name=op.f("pk_zoom_hosts")),
    )
    op.create_table(
        "zoom_quota",
        sa.Column("host", sa.String(length=254), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("writes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("host", "day", name=op.f("pk_zoom_quota")),
    )
    op.create_table(
        "zoom_blocks",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_zoom_blocks")),
    )
    with op.batch_alter_table("zoom_meetings") as batch_op:
        batch_op.add_column(sa.Column("schedule_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("recurrence", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("open_mode", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("generation", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("told", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("overridden", sa.JSON(), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_zoom_meetings_schedule_id_schedules"), "schedules", ["schedule_id"], ["id"]
        )
        batch_op.create_index("ix_zoom_meetings_schedule_id", ["schedule_id"])
        batch_op.drop_constraint(op.f("ck_zoom_meetings_wanted"), type_="check")
        batch_op.create_check_constraint(
            op.f("ck_zoom_meetings_wanted"), "wanted IN ('create', 'update', 'delete', 'check')"
        )
    with op.batch_alter_table("meeting_occurrences") as batch_op:
        batch_op.add_column(sa.Column("zoom_starts_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("zoom_minutes", sa.Integer(), nullable=True))
    _upgrade_registration()


def _upgrade_registration() -> None:
    op.create_table(
        "zoom_pace",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("booked", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_zoom_pace")),
    )
    op.create_table(
        "registration_post_limit",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("over_all_meetings", sa.Boolean(), nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registration_post_limit")),
    )
    op.create_table(
        "former_registrants",
        sa.Column("meeting_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("zoom_registrant_id", sa.String(length=128), nullable=True),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.Column("posts_day", sa.DateTime(timezone=True), nullable=True),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("(learner_id IS NULL) <> (user_id IS NULL)", name=op.f("ck_former_registrants_one_person")),
        sa.ForeignKeyConstraint(["learner_id"], ["learners.id"], name=op.f("fk_former_registrants_learner_id_learners")),
        sa.ForeignKeyConstraint(
            ["meeting_id"],
            ["zoom_meetings.id"],
            name=op.f("fk_former_registrants_meeting_id_zoom_meetings"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_former_registrants_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_registrants")),
    )
    op.create_index("ix_former_registrants_email", "former_registrants", ["email"])
    op.create_index(
        "ix_former_registrants_meeting_id_zoom_registrant_id", "former_registrants", ["meeting_id", "zoom_registrant_id"]
    )
    with op.batch_alter_table("meeting_registrants") as batch_op:
        batch_op.add_column(sa.Column("unsure", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("generation", sa.Integer(), server_default="0", nullable=False))
        batch_op.drop_index("ix_meeting_registrants_state_next_try_at")
        batch_op.create_index("ix_meeting_registrants_next_try_at", ["next_try_at"])
        batch_op.create_index("ix_meeting_registrants_email", ["email"])
    # From now on a row without a next try is one for which nothing is to be done, and a post without an
    # answer is said by `unsure`.
    waits = "(wanted AND state = 'waiting') OR (NOT wanted AND state IN ('waiting', 'registered', 'pending'))"
    op.execute(f"UPDATE meeting_registrants SET next_try_at = NULL WHERE NOT ({waits})")
    op.execute(f"UPDATE meeting_registrants SET next_try_at = updated_at WHERE next_try_at IS NULL AND ({waits})")
    op.execute("UPDATE meeting_registrants SET unsure = (posts > 0) WHERE state = 'waiting'")


def downgrade() -> None:
    with op.batch_alter_table("meeting_registrants") as batch_op:
        batch_op.drop_index("ix_meeting_registrants_email")
        batch_op.drop_index("ix_meeting_registrants_next_try_at")
        batch_op.create_index("ix_meeting_registrants_state_next_try_at", ["state", "next_try_at"])
        batch_op.drop_column("generation")
        batch_op.drop_column("unsure")
    for table in ("former_registrants", "registration_post_limit", "zoom_pace"):
        op.drop_table(table)
    with op.batch_alter_table("meeting_occurrences") as batch_op:
        batch_op.drop_column("zoom_minutes")
        batch_op.drop_column("zoom_starts_at")
    op.execute("UPDATE zoom_meetings SET wanted = 'update' WHERE wanted = 'check'")
    with op.batch_alter_table("zoom_meetings") as batch_op:
        batch_op.drop_constraint(op.f("ck_zoom_meetings_wanted"), type_="check")
        batch_op.create_check_constraint(
            op.f("ck_zoom_meetings_wanted"), "wanted IN ('create', 'update', 'delete')"
        )
        batch_op.drop_index("ix_zoom_meetings_schedule_id")
        batch_op.drop_constraint(op.f("fk_zoom_meetings_schedule_id_schedules"), type_="foreignkey")
        for column in ("overridden", "told", "generation", "open_mode", "recurrence", "schedule_id"):
            batch_op.drop_column(column)
    for table in ("zoom_blocks", "zoom_quota", "zoom_hosts", "class_days", "schedule_times", "schedules"):
        op.drop_table(table)

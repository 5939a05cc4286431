"""the main job

Revision: 0001, the first
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schools",
        sa.Column("deped_id", sa.String(length=6), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("division", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schools")),
        sa.UniqueConstraint("deped_id", name=op.f("uq_schools_deped_id")),
    )
    op.create_table(
        "zoom_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(length=100), nullable=False),
        sa.Column("zoom_meeting_id", sa.String(length=64), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=12), server_default="new", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("projected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('new', 'done', 'ignored', 'waiting', 'set aside')", name=op.f("ck_zoom_events_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zoom_events")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_zoom_events_fingerprint")),
    )
    with op.batch_alter_table("zoom_events", schema=None) as batch_op:
        batch_op.create_index("ix_zoom_events_received_at", ["received_at"], unique=False)
        batch_op.create_index("ix_zoom_events_state_next_try_at", ["state", "next_try_at"], unique=False)
        batch_op.create_index("ix_zoom_events_zoom_meeting_id", ["zoom_meeting_id"], unique=False)

    op.create_table(
        "zoom_tokens",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("api_url", sa.String(), nullable=False),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("minted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_zoom_tokens")),
    )
    op.create_table(
        "learners",
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("lrn", sa.String(length=12), nullable=True),
        sa.Column("lis_name", sa.String(), nullable=False),
        sa.Column("last_name", sa.String(), nullable=False),
        sa.Column("first_name", sa.String(), nullable=False),
        sa.Column("middle_name", sa.String(), nullable=False),
        sa.Column("extension", sa.String(), nullable=False),
        sa.Column("sex", sa.String(length=1), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("sex IN ('M', 'F')", name=op.f("ck_learners_sex")),
        sa.ForeignKeyConstraint(["school_id"], ["schools.id"], name=op.f("fk_learners_school_id_schools")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_learners")),
        sa.UniqueConstraint("lrn", name=op.f("uq_learners_lrn")),
    )
    with op.batch_alter_table("learners", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_learners_email"), ["email"], unique=False)
        batch_op.create_index(batch_op.f("ix_learners_school_id"), ["school_id"], unique=False)

    op.create_table(
        "users",
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("full_name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=True),
        sa.Column("school_id", sa.Uuid(), nullable=True),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deactivated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("(role = 'admin') = (scope IS NOT NULL)", name=op.f("ck_users_admins_have_a_scope")),
        sa.CheckConstraint("role IN ('teacher', 'admin')", name=op.f("ck_users_role")),
        sa.CheckConstraint("scope IN ('school', 'division', 'region')", name=op.f("ck_users_scope")),
        sa.CheckConstraint(
            "scope IS NULL OR scope = 'region' OR school_id IS NOT NULL", name=op.f("ck_users_scope_has_a_place")
        ),
        sa.ForeignKeyConstraint(["school_id"], ["schools.id"], name=op.f("fk_users_school_id_schools")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_users_school_id"), ["school_id"], unique=False)

    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject_type", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_audit_log_user_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    with op.batch_alter_table("audit_log", schema=None) as batch_op:
        batch_op.create_index("ix_audit_log_subject_at", ["subject_type", "subject_id", "at"], unique=False)
        batch_op.create_index("ix_audit_log_user_id_at", ["user_id", "at"], unique=False)

    op.create_table(
        "sections",
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("school_year", sa.String(length=9), nullable=False),
        sa.Column("grade_level", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("adviser_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["adviser_id"], ["users.id"], name=op.f("fk_sections_adviser_id_users")),
        sa.ForeignKeyConstraint(["school_id"], ["schools.id"], name=op.f("fk_sections_school_id_schools")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sections")),
        sa.UniqueConstraint(
            "school_id",
            "school_year",
            "grade_level",
            "name",
            name=op.f("uq_sections_school_id_school_year_grade_level_name"),
        ),
    )
    with op.batch_alter_table("sections", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sections_adviser_id"), ["adviser_id"], unique=False)

    op.create_table(
        "user_sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("remembered", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_sessions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_user_sessions_token_hash")),
    )
    with op.batch_alter_table("user_sessions", schema=None) as batch_op:
        batch_op.create_index("ix_user_sessions_user_id_ended_at", ["user_id", "ended_at"], unique=False)

    op.create_table(
        "classes",
        sa.Column("section_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("teacher_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["section_id"], ["sections.id"], name=op.f("fk_classes_section_id_sections")),
        sa.ForeignKeyConstraint(["teacher_id"], ["users.id"], name=op.f("fk_classes_teacher_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_classes")),
        sa.UniqueConstraint("section_id", "subject", name=op.f("uq_classes_section_id_subject")),
    )
    with op.batch_alter_table("classes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_classes_teacher_id"), ["teacher_id"], unique=False)

    op.create_table(
        "enrolments",
        sa.Column("section_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("from_date", sa.Date(), nullable=False),
        sa.Column("until_date", sa.Date(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "until_date IS NULL OR until_date >= from_date", name=op.f("ck_enrolments_ends_after_it_began")
        ),
        sa.ForeignKeyConstraint(["learner_id"], ["learners.id"], name=op.f("fk_enrolments_learner_id_learners")),
        sa.ForeignKeyConstraint(["section_id"], ["sections.id"], name=op.f("fk_enrolments_section_id_sections")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolments")),
    )
    with op.batch_alter_table("enrolments", schema=None) as batch_op:
        batch_op.create_index("ix_enrolments_learner_id", ["learner_id"], unique=False)
        batch_op.create_index("ix_enrolments_section_id_from_date", ["section_id", "from_date"], unique=False)

    op.create_table(
        "roster_imports",
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("section_id", sa.Uuid(), nullable=True),
        sa.Column("uploaded_by", sa.Uuid(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rows", sa.JSON(), nullable=True),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("state IN ('preview', 'confirmed', 'discarded')", name=op.f("ck_roster_imports_state")),
        sa.ForeignKeyConstraint(["school_id"], ["schools.id"], name=op.f("fk_roster_imports_school_id_schools")),
        sa.ForeignKeyConstraint(["section_id"], ["sections.id"], name=op.f("fk_roster_imports_section_id_sections")),
        sa.ForeignKeyConstraint(["uploaded_by"], ["users.id"], name=op.f("fk_roster_imports_uploaded_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roster_imports")),
    )
    with op.batch_alter_table("roster_imports", schema=None) as batch_op:
        batch_op.create_index("ix_roster_imports_section_id", ["section_id"], unique=False)

    op.create_table(
        "class_co_teachers",
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["class_id"], ["classes.id"], name=op.f("fk_class_co_teachers_class_id_classes"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_class_co_teachers_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("class_id", "user_id", name=op.f("pk_class_co_teachers")),
    )
    with op.batch_alter_table("class_co_teachers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_class_co_teachers_user_id"), ["user_id"], unique=False)

    op.create_table(
        "name_aliases",
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("folded_name", sa.String(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["class_id"], ["classes.id"], name=op.f("fk_name_aliases_class_id_classes"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["learner_id"], ["learners.id"], name=op.f("fk_name_aliases_learner_id_learners")),
        sa.ForeignKeyConstraint(["made_by"], ["users.id"], name=op.f("fk_name_aliases_made_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_name_aliases")),
        sa.UniqueConstraint(
            "class_id", "folded_name", "learner_id", name=op.f("uq_name_aliases_class_id_folded_name_learner_id")
        ),
    )
    op.create_table(
        "zoom_meetings",
        sa.Column("client_key", sa.String(length=64), nullable=False),
        sa.Column("marker", sa.String(length=36), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(length=254), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("host_video", sa.Boolean(), nullable=False),
        sa.Column("participant_video", sa.Boolean(), nullable=False),
        sa.Column("join_before_host", sa.Boolean(), nullable=False),
        sa.Column("mute_upon_entry", sa.Boolean(), nullable=False),
        sa.Column("waiting_room", sa.Boolean(), nullable=False),
        sa.Column("auto_recording", sa.String(), nullable=False),
        sa.Column("meeting_authentication", sa.Boolean(), nullable=False),
        sa.Column("registration_type", sa.Integer(), nullable=False),
        sa.Column("approval_type", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("zoom_id", sa.String(length=64), nullable=True),
        sa.Column("join_url_sealed", sa.String(), nullable=True),
        sa.Column("password_sealed", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wanted", sa.String(), nullable=True),
        sa.Column("unsure", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.String(length=40), nullable=True),
        sa.Column("trouble_detail", sa.String(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "audience IN ('class', 'students', 'teachers', 'all', 'personal')", name=op.f("ck_zoom_meetings_audience")
        ),
        sa.CheckConstraint(
            "auto_recording IN ('none', 'local', 'cloud')", name=op.f("ck_zoom_meetings_auto_recording")
        ),
        sa.CheckConstraint("kind IN ('instant', 'scheduled', 'recurring')", name=op.f("ck_zoom_meetings_kind")),
        sa.CheckConstraint(
            "state IN ('waiting', 'scheduled', 'started', 'ended', 'cancelled', 'deleted', 'failed')",
            name=op.f("ck_zoom_meetings_state"),
        ),
        sa.CheckConstraint("wanted IN ('create', 'update', 'delete')", name=op.f("ck_zoom_meetings_wanted")),
        sa.CheckConstraint("approval_type BETWEEN 0 AND 2", name=op.f("ck_zoom_meetings_approval_type")),
        sa.CheckConstraint("minutes BETWEEN 1 AND 1440", name=op.f("ck_zoom_meetings_minutes")),
        sa.CheckConstraint("registration_type BETWEEN 1 AND 3", name=op.f("ck_zoom_meetings_registration_type")),
        sa.ForeignKeyConstraint(["class_id"], ["classes.id"], name=op.f("fk_zoom_meetings_class_id_classes")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_zoom_meetings_created_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zoom_meetings")),
        sa.UniqueConstraint("client_key", name=op.f("uq_zoom_meetings_client_key")),
        sa.UniqueConstraint("marker", name=op.f("uq_zoom_meetings_marker")),
        sa.UniqueConstraint("zoom_id", name=op.f("uq_zoom_meetings_zoom_id")),
    )
    with op.batch_alter_table("zoom_meetings", schema=None) as batch_op:
        batch_op.create_index("ix_zoom_meetings_class_id_starts_at", ["class_id", "starts_at"], unique=False)
        batch_op.create_index("ix_zoom_meetings_host_starts_at", ["host", "starts_at"], unique=False)
        batch_op.create_index("ix_zoom_meetings_wanted_next_try_at", ["wanted", "next_try_at"], unique=False)

    op.create_table(
        "meeting_history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("meeting_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=True),
        sa.Column("what", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["by"], ["users.id"], name=op.f("fk_meeting_history_by_users"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["meeting_id"],
            ["zoom_meetings.id"],
            name=op.f("fk_meeting_history_meeting_id_zoom_meetings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meeting_history")),
    )
    with op.batch_alter_table("meeting_history", schema=None) as batch_op:
        batch_op.create_index("ix_meeting_history_meeting_id_at", ["meeting_id", "at"], unique=False)

    op.create_table(
        "meeting_occurrences",
        sa.Column("meeting_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("local_date", sa.Date(), nullable=False),
        sa.Column("zoom_occurrence_id", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("scheduled", sa.Boolean(), nullable=False),
        sa.Column("threshold_seconds", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "state IN ('scheduled', 'started', 'ended', 'cancelled')", name=op.f("ck_meeting_occurrences_state")
        ),
        sa.ForeignKeyConstraint(
            ["meeting_id"],
            ["zoom_meetings.id"],
            name=op.f("fk_meeting_occurrences_meeting_id_zoom_meetings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meeting_occurrences")),
        sa.UniqueConstraint("meeting_id", "starts_at", name=op.f("uq_meeting_occurrences_meeting_id_starts_at")),
    )
    with op.batch_alter_table("meeting_occurrences", schema=None) as batch_op:
        batch_op.create_index("ix_meeting_occurrences_local_date", ["local_date"], unique=False)

    op.create_table(
        "meeting_registrants",
        sa.Column("meeting_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("first_name", sa.String(length=64), nullable=False),
        sa.Column("last_name", sa.String(length=64), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.Column("posts_day", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("zoom_registrant_id", sa.String(length=128), nullable=True),
        sa.Column("join_url_sealed", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'registered', 'pending', 'cancelled', 'denied', 'failed')",
            name=op.f("ck_meeting_registrants_state"),
        ),
        sa.CheckConstraint("(learner_id IS NULL) <> (user_id IS NULL)", name=op.f("ck_meeting_registrants_one_person")),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["learners.id"], name=op.f("fk_meeting_registrants_learner_id_learners")
        ),
        sa.ForeignKeyConstraint(
            ["meeting_id"],
            ["zoom_meetings.id"],
            name=op.f("fk_meeting_registrants_meeting_id_zoom_meetings"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_meeting_registrants_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meeting_registrants")),
        sa.UniqueConstraint("meeting_id", "learner_id", name=op.f("uq_meeting_registrants_meeting_id_learner_id")),
        sa.UniqueConstraint("meeting_id", "user_id", name=op.f("uq_meeting_registrants_meeting_id_user_id")),
    )
    with op.batch_alter_table("meeting_registrants", schema=None) as batch_op:
        batch_op.create_index("ix_meeting_registrants_learner_id", ["learner_id"], unique=False)
        batch_op.create_index(
            "ix_meeting_registrants_meeting_id_zoom_registrant_id", ["meeting_id", "zoom_registrant_id"], unique=False
        )
        batch_op.create_index("ix_meeting_registrants_state_next_try_at", ["state", "next_try_at"], unique=False)

    op.create_table(
        "attendance_history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("occurrence_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=True),
        sa.Column("what", sa.String(length=24), nullable=False),
        sa.Column("from_mark", sa.String(), nullable=True),
        sa.Column("to_mark", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["by"], ["users.id"], name=op.f("fk_attendance_history_by_users"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["learners.id"], name=op.f("fk_attendance_history_learner_id_learners")
        ),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["meeting_occurrences.id"],
            name=op.f("fk_attendance_history_occurrence_id_meeting_occurrences"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendance_history")),
    )
    with op.batch_alter_table("attendance_history", schema=None) as batch_op:
        batch_op.create_index("ix_attendance_history_occurrence_id_at", ["occurrence_id", "at"], unique=False)

    op.create_table(
        "attendance_records",
        sa.Column("occurrence_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("computed_mark", sa.String(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("first_join_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_leave_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stays", sa.Integer(), nullable=False),
        sa.Column("matched_by", sa.JSON(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("still_in", sa.Boolean(), nullable=False),
        sa.Column("override_mark", sa.String(), nullable=True),
        sa.Column("override_reason", sa.String(), nullable=True),
        sa.Column("override_by", sa.Uuid(), nullable=True),
        sa.Column("override_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("final_mark", sa.String(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "computed_mark IN ('pending', 'present', 'partial', 'absent', 'needs review')",
            name=op.f("ck_attendance_records_computed_mark"),
        ),
        sa.CheckConstraint(
            "final_mark IN ('pending', 'present', 'partial', 'absent', 'needs review')",
            name=op.f("ck_attendance_records_final_mark"),
        ),
        sa.CheckConstraint(
            "override_mark IN ('present', 'partial', 'absent')", name=op.f("ck_attendance_records_override_mark")
        ),
        sa.CheckConstraint(
            "override_mark IS NULL OR override_reason IS NOT NULL",
            name=op.f("ck_attendance_records_override_has_a_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["learners.id"], name=op.f("fk_attendance_records_learner_id_learners")
        ),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["meeting_occurrences.id"],
            name=op.f("fk_attendance_records_occurrence_id_meeting_occurrences"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["override_by"], ["users.id"], name=op.f("fk_attendance_records_override_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendance_records")),
        sa.UniqueConstraint("occurrence_id", "learner_id", name=op.f("uq_attendance_records_occurrence_id_learner_id")),
    )
    with op.batch_alter_table("attendance_records", schema=None) as batch_op:
        batch_op.create_index("ix_attendance_records_learner_id", ["learner_id"], unique=False)

    op.create_table(
        "attendance_sheets",
        sa.Column("occurrence_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gap", sa.Boolean(), nullable=False),
        sa.Column("reconcile_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reconcile_attempts", sa.Integer(), nullable=False),
        sa.Column("reconciled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report_digest", sa.String(length=64), nullable=True),
        sa.Column("trouble", sa.String(length=40), nullable=True),
        sa.Column("finalised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finalised_by", sa.Uuid(), nullable=True),
        sa.Column("evidence_changed", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'live', 'provisional', 'reconciled', 'unreported')",
            name=op.f("ck_attendance_sheets_state"),
        ),
        sa.ForeignKeyConstraint(["finalised_by"], ["users.id"], name=op.f("fk_attendance_sheets_finalised_by_users")),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["meeting_occurrences.id"],
            name=op.f("fk_attendance_sheets_occurrence_id_meeting_occurrences"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("occurrence_id", name=op.f("pk_attendance_sheets")),
    )
    with op.batch_alter_table("attendance_sheets", schema=None) as batch_op:
        batch_op.create_index("ix_attendance_sheets_dirty", ["dirty"], unique=False)
        batch_op.create_index("ix_attendance_sheets_reconcile_at", ["reconcile_at"], unique=False)

    op.create_table(
        "zoom_instances",
        sa.Column("uuid", sa.String(length=64), nullable=False),
        sa.Column("meeting_id", sa.Uuid(), nullable=False),
        sa.Column("occurrence_id", sa.Uuid(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("start_seen", sa.Boolean(), nullable=False),
        sa.Column("end_seen", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["meeting_id"],
            ["zoom_meetings.id"],
            name=op.f("fk_zoom_instances_meeting_id_zoom_meetings"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["meeting_occurrences.id"],
            name=op.f("fk_zoom_instances_occurrence_id_meeting_occurrences"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zoom_instances")),
        sa.UniqueConstraint("uuid", name=op.f("uq_zoom_instances_uuid")),
    )
    with op.batch_alter_table("zoom_instances", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_zoom_instances_meeting_id"), ["meeting_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_zoom_instances_occurrence_id"), ["occurrence_id"], unique=False)

    op.create_table(
        "zoom_participants",
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("session", sa.String(length=80), nullable=False),
        sa.Column("registrant_id", sa.String(length=128), nullable=True),
        sa.Column("zoom_user_id", sa.String(length=128), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("left_source", sa.String(), nullable=True),
        sa.Column("is_host", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "left_source IN ('event', 'ended', 'report', 'csv')", name=op.f("ck_zoom_participants_left_source")
        ),
        sa.CheckConstraint("room IN ('meeting', 'waiting')", name=op.f("ck_zoom_participants_room")),
        sa.CheckConstraint("source IN ('webhook', 'report', 'csv')", name=op.f("ck_zoom_participants_source")),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["zoom_instances.id"],
            name=op.f("fk_zoom_participants_instance_id_zoom_instances"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zoom_participants")),
        sa.UniqueConstraint(
            "instance_id", "session", "room", name=op.f("uq_zoom_participants_instance_id_session_room")
        ),
    )
    op.create_table(
        "participant_links",
        sa.Column("participant_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=True),
        sa.Column("is_staff", sa.Boolean(), nullable=True),
        sa.Column("linked_by", sa.Uuid(), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "learner_id IS NOT NULL OR is_staff IS NOT NULL", name=op.f("ck_participant_links_says_something")
        ),
        sa.ForeignKeyConstraint(["learner_id"], ["learners.id"], name=op.f("fk_participant_links_learner_id_learners")),
        sa.ForeignKeyConstraint(["linked_by"], ["users.id"], name=op.f("fk_participant_links_linked_by_users")),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["zoom_participants.id"],
            name=op.f("fk_participant_links_participant_id_zoom_participants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participant_links")),
        sa.UniqueConstraint(
            "participant_id", "learner_id", name=op.f("uq_participant_links_participant_id_learner_id")
        ),
    )
    with op.batch_alter_table("participant_links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_participant_links_learner_id"), ["learner_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("participant_links", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_participant_links_learner_id"))

    op.drop_table("participant_links")
    op.drop_table("zoom_participants")
    with op.batch_alter_table("zoom_instances", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_zoom_instances_occurrence_id"))
        batch_op.drop_index(batch_op.f("ix_zoom_instances_meeting_id"))

    op.drop_table("zoom_instances")
    with op.batch_alter_table("attendance_sheets", schema=None) as batch_op:
        batch_op.drop_index("ix_attendance_sheets_reconcile_at")
        batch_op.drop_index("ix_attendance_sheets_dirty")

    op.drop_table("attendance_sheets")
    with op.batch_alter_table("attendance_records", schema=None) as batch_op:
        batch_op.drop_index("ix_attendance_records_learner_id")

    op.drop_table("attendance_records")
    with op.batch_alter_table("attendance_history", schema=None) as batch_op:
        batch_op.drop_index("ix_attendance_history_occurrence_id_at")

    op.drop_table("attendance_history")
    with op.batch_alter_table("meeting_registrants", schema=None) as batch_op:
        batch_op.drop_index("ix_meeting_registrants_state_next_try_at")
        batch_op.drop_index("ix_meeting_registrants_meeting_id_zoom_registrant_id")
        batch_op.drop_index("ix_meeting_registrants_learner_id")

    op.drop_table("meeting_registrants")
    with op.batch_alter_table("meeting_occurrences", schema=None) as batch_op:
        batch_op.drop_index("ix_meeting_occurrences_local_date")

    op.drop_table("meeting_occurrences")
    with op.batch_alter_table("meeting_history", schema=None) as batch_op:
        batch_op.drop_index("ix_meeting_history_meeting_id_at")

    op.drop_table("meeting_history")
    with op.batch_alter_table("zoom_meetings", schema=None) as batch_op:
        batch_op.drop_index("ix_zoom_meetings_wanted_next_try_at")
        batch_op.drop_index("ix_zoom_meetings_host_starts_at")
        batch_op.drop_index("ix_zoom_meetings_class_id_starts_at")

    op.drop_table("zoom_meetings")
    op.drop_table("name_aliases")
    with op.batch_alter_table("class_co_teachers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_class_co_teachers_user_id"))

    op.drop_table("class_co_teachers")
    with op.batch_alter_table("roster_imports", schema=None) as batch_op:
        batch_op.drop_index("ix_roster_imports_section_id")

    op.drop_table("roster_imports")
    with op.batch_alter_table("enrolments", schema=None) as batch_op:
        batch_op.drop_index("ix_enrolments_section_id_from_date")
        batch_op.drop_index("ix_enrolments_learner_id")

    op.drop_table("enrolments")
    with op.batch_alter_table("classes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_classes_teacher_id"))

    op.drop_table("classes")
    with op.batch_alter_table("user_sessions", schema=None) as batch_op:
        batch_op.drop_index("ix_user_sessions_user_id_ended_at")

    op.drop_table("user_sessions")
    with op.batch_alter_table("sections", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sections_adviser_id"))

    op.drop_table("sections")
    with op.batch_alter_table("audit_log", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_log_user_id_at")
        batch_op.drop_index("ix_audit_log_subject_at")

    op.drop_table("audit_log")
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_users_school_id"))

    op.drop_table("users")
    with op.batch_alter_table("learners", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_learners_school_id"))
        batch_op.drop_index(batch_op.f("ix_learners_email"))

    op.drop_table("learners")
    op.drop_table("zoom_tokens")
    with op.batch_alter_table("zoom_events", schema=None) as batch_op:
        batch_op.drop_index("ix_zoom_events_zoom_meeting_id")
        batch_op.drop_index("ix_zoom_events_state_next_try_at")
        batch_op.drop_index("ix_zoom_events_received_at")

    op.drop_table("zoom_events")
    op.drop_table("schools")

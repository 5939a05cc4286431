"""names: tables, columns, constraints and codes by the field's words; a meeting's history in typed columns

Revision: 0023, after 0022. Codes with blanks become snake_case ("gone" -> "deleted_at_zoom"), in their columns, in
JSON lists and in JSON keys. A value's encryption is bound to a text with the old names: that text stays as it is.
SQLite cannot rename a constraint: there a table is made anew from its own definition, with the names replaced.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

TABLES = {
    "class_days": "calendar_days",
    "door_wishes": "pending_auth_requests",
    "identities": "external_identities",
    "join_openings": "join_link_uses",
    "name_aliases": "participant_aliases",
    "notifications_off": "notification_opt_outs",
    "opened_sections": "section_disclosures",
    "participant_links": "participant_matches",
    "portal_beats": "webhook_heartbeats",
    "registration_post_limit": "registration_daily_limit",
    "spent_states": "used_oidc_states",
    "zoom_pace": "zoom_rate_slots",
}
COLUMNS = {
    "attendance_history": {"at": "occurred_at", "by": "actor_id", "what": "event"},
    "attendance_records": {"stays": "stay_count", "still_in": "is_in_meeting", "late": "is_late"},
    "attendance_sheets": {
        "dirty": "needs_recompute",
        "gap": "has_delivery_gap",
        "trouble": "report_error",
        "counts": "counts_in_reports",
        "told": "is_notified",
        "unmatched": "unmatched_count",
    },
    "attendance_tallies": {"review": "needs_review", "ran_seconds": "meeting_seconds"},
    "audit_log": {"at": "occurred_at"},
    "calendar_links": {"token_sealed": "token_encrypted", "made_at": "created_at"},
    "pending_auth_requests": {"place_hash": "client_hash", "sealed": "request_encrypted", "at": "requested_at"},
    "enrolments": {"came_by": "entry_reason", "reason": "exit_reason", "detail": "exit_detail"},
    "erasures": {"at": "requested_at", "by": "requested_by", "marks": "fingerprints"},
    "former_registrants": {"posts": "posts_today", "posts_day": "posts_counted_since", "open": "still_at_zoom"},
    "ip_day_keys": {"sealed": "key_encrypted"},
    "join_links": {"token_sealed": "token_encrypted", "made_at": "created_at"},
    "join_link_uses": {"at": "opened_at", "place_hash": "client_hash"},
    "mail_outbox": {"to_hash": "recipient_hash", "sealed": "content_encrypted", "next_try_at": "next_attempt_at"},
    "meeting_history": {"at": "occurred_at", "by": "actor_id", "what": "event", "told": "is_notified"},
    "meeting_occurrences": {"scheduled": "is_scheduled"},
    "meeting_registrants": {
        "wanted": "is_expected",
        "posts": "posts_today",
        "posts_day": "posts_counted_since",
        "unsure": "outcome_unknown",
        "generation": "zoom_generation",
        "next_try_at": "next_attempt_at",
        "told": "failure_notified",
        "join_url_sealed": "join_url_encrypted",
    },
    "missed_deliveries": {"told": "sheets_marked"},
    "participant_aliases": {"made_by": "created_by", "made_at": "created_at"},
    "notifications": {
        "thing": "dedup_key",
        "facts": "payload",
        "at": "occurred_at",
        "shown": "in_portal",
        "mail_at": "mail_due_at",
    },
    "section_disclosures": {"until": "expires_at"},
    "option_policies": {"place": "scope_key"},
    "participant_matches": {"linked_by": "matched_by", "linked_at": "matched_at"},
    "registration_daily_limit": {"over_all_meetings": "counts_all_meetings"},
    "roster_imports": {"rows": "preview_rows", "journal": "undo_journal"},
    "schedules": {"dates": "occurrence_count"},
    "schools": {"attendance_years": "attendance_retention_years"},
    "sections": {"cut_off": "sf2_cutoff_date", "day_rule": "day_attendance_rule"},
    "sign_in_failures": {"place_hash": "client_hash", "at": "failed_at"},
    "used_oidc_states": {"at": "used_at"},
    "users": {"totp_sealed": "totp_secret_encrypted", "totp_since": "totp_enabled_at"},
    "zoom_blocks": {"until": "retry_at"},
    "zoom_events": {"raw": "body", "next_try_at": "next_attempt_at"},
    "zoom_hosts": {"known": "exists_at_zoom"},
    "zoom_instances": {"start_seen": "started_event_received", "end_seen": "ended_event_received"},
    "zoom_meetings": {
        "host": "host_email",
        "join_url_sealed": "join_url_encrypted",
        "password_sealed": "passcode_encrypted",
        "made_at": "created_at_zoom",
        "generation": "zoom_generation",
        "told": "last_sent",
        "overridden": "overridden_settings",
        "wanted": "pending_action",
        "unsure": "outcome_unknown",
        "next_try_at": "next_attempt_at",
        "trouble": "error_code",
        "trouble_detail": "error_detail",
    },
    "zoom_rate_slots": {"booked": "reserved_at"},
    "zoom_participants": {"nth": "sequence", "left_source": "leave_source", "lasted_seconds": "duration_seconds"},
    "zoom_quota": {"writes": "writes_used"},
    "zoom_tokens": {"sealed": "token_encrypted", "minted_at": "issued_at"},
}
CONSTRAINTS = {
    "attendance_history": {"fk_attendance_history_by_users": "fk_attendance_history_actor_id_users"},
    "calendar_days": {
        "pk_class_days": "pk_calendar_days",
        "fk_class_days_created_by_users": "fk_calendar_days_created_by_users",
        "fk_class_days_school_id_schools": "fk_calendar_days_school_id_schools",
        "fk_class_days_section_id_sections": "fk_calendar_days_section_id_sections",
    },
    "pending_auth_requests": {"pk_door_wishes": "pk_pending_auth_requests"},
    "erasures": {"fk_erasures_by_users": "fk_erasures_requested_by_users"},
    "external_identities": {
        "pk_identities": "pk_external_identities",
        "fk_identities_user_id_users": "fk_external_identities_user_id_users",
        "uq_identities_issuer_subject": "uq_external_identities_issuer_subject",
    },
    "join_link_uses": {
        "pk_join_openings": "pk_join_link_uses",
        "fk_join_openings_link_id_join_links": "fk_join_link_uses_link_id_join_links",
        "fk_join_openings_occurrence_id_meeting_occurrences": "fk_join_link_uses_occurrence_id_meeting_occurrences",
    },
    "meeting_history": {"fk_meeting_history_by_users": "fk_meeting_history_actor_id_users"},
    "participant_aliases": {
        "pk_name_aliases": "pk_participant_aliases",
        "fk_name_aliases_class_id_classes": "fk_participant_aliases_class_id_classes",
        "fk_name_aliases_learner_id_learners": "fk_participant_aliases_learner_id_learners",
        "fk_name_aliases_made_by_users": "fk_participant_aliases_created_by_users",
        "uq_name_aliases_class_id_folded_name_learner_id": "uq_participant_aliases_class_id_folded_name_learner_id",
    },
    "notifications": {"uq_notifications_user_id_kind_thing": "uq_notifications_user_id_kind_dedup_key"},
    "notification_opt_outs": {
        "pk_notifications_off": "pk_notification_opt_outs",
        "fk_notifications_off_user_id_users": "fk_notification_opt_outs_user_id_users",
    },
    "section_disclosures": {
        "pk_opened_sections": "pk_section_disclosures",
        "fk_opened_sections_section_id_sections": "fk_section_disclosures_section_id_sections",
        "fk_opened_sections_session_id_user_sessions": "fk_section_disclosures_session_id_user_sessions",
        "uq_opened_sections_session_id_section_id": "uq_section_disclosures_session_id_section_id",
    },
    "option_policies": {"uq_option_policies_scope_place_option": "uq_option_policies_scope_scope_key_option"},
    "participant_matches": {
        "pk_participant_links": "pk_participant_matches",
        "fk_participant_links_learner_id_learners": "fk_participant_matches_learner_id_learners",
        "fk_participant_links_linked_by_users": "fk_participant_matches_matched_by_users",
        "fk_participant_links_participant_id_zoom_participants": "fk_participant_matches_participant_id_zoom_participants",
        "uq_participant_links_participant_id_learner_id": "uq_participant_matches_participant_id_learner_id",
    },
    "webhook_heartbeats": {"pk_portal_beats": "pk_webhook_heartbeats"},
    "registration_daily_limit": {"pk_registration_post_limit": "pk_registration_daily_limit"},
    "used_oidc_states": {"pk_spent_states": "pk_used_oidc_states"},
    "zoom_rate_slots": {"pk_zoom_pace": "pk_zoom_rate_slots"},
    "zoom_participants": {
        "uq_zoom_participants_instance_id_session_room_source_nth": "uq_zoom_participants_instance_id_session_room_source_sequence"
    },
}
# of a table, by its new name: the old name of a CHECK, its new name, and what it says before and after, where that
# is another thing than the columns' names
CHECKS = {
    "calendar_days": (
        (
            "ck_class_days_kind",
            "ck_calendar_days_kind",
            "kind IN ('holiday', 'suspended', 'class')",
            "kind IN ('holiday', 'suspended', 'class')",
        ),
        (
            "ck_class_days_scope",
            "ck_calendar_days_scope",
            "scope IN ('national', 'region', 'division', 'school', 'section')",
            "scope IN ('national', 'region', 'division', 'school', 'section')",
        ),
        (
            "ck_class_days_scope_has_its_place",
            "ck_calendar_days_scope_has_its_place",
            "(scope = 'division') = (division IS NOT NULL) AND (scope = 'school') = (school_id IS NOT "
            "NULL) AND (scope = 'section') = (section_id IS NOT NULL)",
            "(scope = 'division') = (division IS NOT NULL) AND (scope = 'school') = (school_id IS NOT "
            "NULL) AND (scope = 'section') = (section_id IS NOT NULL)",
        ),
    ),
    "pending_auth_requests": (
        (
            "ck_door_wishes_kind",
            "ck_pending_auth_requests_kind",
            "kind IN ('password', 'account')",
            "kind IN ('password', 'account')",
        ),
    ),
    "mail_outbox": (
        (
            "ck_mail_outbox_kept_while_waiting",
            "ck_mail_outbox_kept_while_queued",
            "state <> 'waiting' OR content_encrypted IS NOT NULL",
            "state <> 'queued' OR content_encrypted IS NOT NULL",
        ),
        (
            "ck_mail_outbox_state",
            "ck_mail_outbox_state",
            "state IN ('waiting', 'sent', 'failed')",
            "state IN ('queued', 'sent', 'failed')",
        ),
    ),
    "notification_opt_outs": (
        (
            "ck_notifications_off_kind",
            "ck_notification_opt_outs_kind",
            "kind IN ('scheduled', 'changed', 'cancelled', 'sheet ready', 'to match', 'registration failed')",
            "kind IN ('scheduled', 'changed', 'cancelled', 'sheet_ready', 'to_match', 'registration_failed')",
        ),
        (
            "ck_notifications_off_channel",
            "ck_notification_opt_outs_channel",
            "channel IN ('portal', 'mail')",
            "channel IN ('portal', 'mail')",
        ),
    ),
    "notifications": (
        (
            "ck_notifications_kind",
            "ck_notifications_kind",
            "kind IN ('scheduled', 'changed', 'cancelled', 'sheet ready', 'to match', 'registration failed')",
            "kind IN ('scheduled', 'changed', 'cancelled', 'sheet_ready', 'to_match', 'registration_failed')",
        ),
    ),
    "participant_matches": (
        (
            "ck_participant_links_says_something",
            "ck_participant_matches_says_something",
            "learner_id IS NOT NULL OR is_staff IS NOT NULL",
            "learner_id IS NOT NULL OR is_staff IS NOT NULL",
        ),
    ),
    "schools": (
        (
            "ck_schools_attendance_years",
            "ck_schools_attendance_retention_years",
            "attendance_retention_years BETWEEN 2 AND 10",
            "attendance_retention_years BETWEEN 2 AND 10",
        ),
    ),
    "zoom_meetings": (
        (
            "ck_zoom_meetings_wanted",
            "ck_zoom_meetings_pending_action",
            "pending_action IN ('create', 'update', 'delete', 'check')",
            "pending_action IN ('create', 'update', 'delete', 'check')",
        ),
        (
            "ck_zoom_meetings_state",
            "ck_zoom_meetings_state",
            "state IN ('waiting', 'scheduled', 'started', 'ended', 'cancelled', 'deleted', 'failed')",
            "state IN ('pending_zoom', 'scheduled', 'started', 'ended', 'cancelled', 'deleted', 'failed')",
        ),
    ),
    "zoom_participants": (
        (
            "ck_zoom_participants_left_source",
            "ck_zoom_participants_leave_source",
            "leave_source IN ('event', 'ended', 'report', 'csv')",
            "leave_source IN ('event', 'ended', 'report', 'csv')",
        ),
    ),
    "attendance_sheets": (
        (
            "ck_attendance_sheets_state",
            "ck_attendance_sheets_state",
            "state IN ('waiting', 'live', 'provisional', 'reconciled', 'unreported')",
            "state IN ('not_started', 'live', 'provisional', 'reconciled', 'unreported')",
        ),
    ),
    "attendance_records": (
        (
            "ck_attendance_records_computed_mark",
            "ck_attendance_records_computed_mark",
            "computed_mark IN ('pending', 'present', 'partial', 'absent', 'needs review')",
            "computed_mark IN ('pending', 'present', 'partial', 'absent', 'needs_review')",
        ),
        (
            "ck_attendance_records_final_mark",
            "ck_attendance_records_final_mark",
            "final_mark IN ('pending', 'present', 'partial', 'absent', 'needs review')",
            "final_mark IN ('pending', 'present', 'partial', 'absent', 'needs_review')",
        ),
    ),
    "participant_uploads": (
        (
            "ck_participant_uploads_state",
            "ck_participant_uploads_state",
            "state IN ('preview', 'confirmed', 'discarded', 'taken back')",
            "state IN ('preview', 'confirmed', 'discarded', 'revoked')",
        ),
    ),
    "meeting_registrants": (
        (
            "ck_meeting_registrants_state",
            "ck_meeting_registrants_state",
            "state IN ('waiting', 'registered', 'pending', 'cancelled', 'denied', 'failed')",
            "state IN ('queued', 'registered', 'pending_approval', 'cancelled', 'denied', 'failed')",
        ),
    ),
    "zoom_events": (
        (
            "ck_zoom_events_state",
            "ck_zoom_events_state",
            "state IN ('new', 'done', 'ignored', 'waiting', 'set aside')",
            "state IN ('pending', 'done', 'ignored', 'unmatched', 'failed')",
        ),
    ),
    "account_requests": (
        (
            "ck_account_requests_state",
            "ck_account_requests_state",
            "state IN ('waiting', 'approved', 'refused')",
            "state IN ('pending', 'approved', 'rejected')",
        ),
    ),
    "option_policies": (
        (
            "ck_option_policies_rule",
            "ck_option_policies_rule",
            "rule IN ('forced on', 'default on', 'default off', 'not allowed')",
            "rule IN ('forced_on', 'default_on', 'default_off', 'not_allowed')",
        ),
    ),
}
INDEXES = (
    (
        "ix_attendance_history_occurrence_id_at",
        "ix_attendance_history_occurrence_id_occurred_at",
        "attendance_history",
        ("occurrence_id", "occurred_at"),
        "",
    ),
    (
        "ix_attendance_sheets_dirty",
        "ix_attendance_sheets_needs_recompute",
        "attendance_sheets",
        ("needs_recompute",),
        "",
    ),
    (
        "ix_attendance_sheets_untold",
        "ix_attendance_sheets_not_notified",
        "attendance_sheets",
        ("occurrence_id",),
        "NOT is_notified AND counts_in_reports AND state IN ('reconciled', 'unreported')",
    ),
    ("ix_audit_log_class_id_at", "ix_audit_log_class_id_occurred_at", "audit_log", ("class_id", "occurred_at"), ""),
    (
        "ix_audit_log_section_id_at",
        "ix_audit_log_section_id_occurred_at",
        "audit_log",
        ("section_id", "occurred_at"),
        "",
    ),
    (
        "ix_audit_log_subject_at",
        "ix_audit_log_subject_occurred_at",
        "audit_log",
        ("subject_type", "subject_id", "occurred_at"),
        "",
    ),
    ("ix_audit_log_user_id_at", "ix_audit_log_user_id_occurred_at", "audit_log", ("user_id", "occurred_at"), ""),
    ("ix_class_days_date", "ix_calendar_days_date", "calendar_days", ("date",), ""),
    (
        "ix_door_wishes_address_hash_at",
        "ix_pending_auth_requests_address_hash_requested_at",
        "pending_auth_requests",
        ("address_hash", "requested_at"),
        "",
    ),
    (
        "ix_door_wishes_place_hash_at",
        "ix_pending_auth_requests_client_hash_requested_at",
        "pending_auth_requests",
        ("client_hash", "requested_at"),
        "",
    ),
    ("ix_identities_user_id", "ix_external_identities_user_id", "external_identities", ("user_id",), ""),
    ("ix_join_openings_at", "ix_join_link_uses_opened_at", "join_link_uses", ("opened_at",), ""),
    ("ix_join_openings_link_id", "ix_join_link_uses_link_id", "join_link_uses", ("link_id",), ""),
    ("ix_join_openings_occurrence_id", "ix_join_link_uses_occurrence_id", "join_link_uses", ("occurrence_id",), ""),
    (
        "ix_mail_outbox_state_next_try_at",
        "ix_mail_outbox_state_next_attempt_at",
        "mail_outbox",
        ("state", "next_attempt_at"),
        "",
    ),
    ("ix_mail_outbox_to_hash", "ix_mail_outbox_recipient_hash", "mail_outbox", ("recipient_hash",), ""),
    (
        "ix_meeting_history_meeting_id_at",
        "ix_meeting_history_meeting_id_occurred_at",
        "meeting_history",
        ("meeting_id", "occurred_at"),
        "",
    ),
    ("ix_meeting_history_untold", "ix_meeting_history_not_notified", "meeting_history", ("id",), "NOT is_notified"),
    (
        "ix_meeting_registrants_next_try_at",
        "ix_meeting_registrants_next_attempt_at",
        "meeting_registrants",
        ("next_attempt_at",),
        "",
    ),
    (
        "ix_meeting_registrants_told",
        "ix_meeting_registrants_failure_notified",
        "meeting_registrants",
        ("id",),
        "failure_notified",
    ),
    (
        "ix_meeting_registrants_untold",
        "ix_meeting_registrants_not_notified",
        "meeting_registrants",
        ("meeting_id",),
        "is_expected AND NOT failure_notified AND state IN ('failed', 'denied', 'cancelled')",
    ),
    ("ix_notifications_at", "ix_notifications_occurred_at", "notifications", ("occurred_at",), ""),
    (
        "ix_notifications_mail_at",
        "ix_notifications_mail_due_at",
        "notifications",
        ("mail_due_at",),
        "mail_due_at IS NOT NULL",
    ),
    (
        "ix_participant_links_learner_id",
        "ix_participant_matches_learner_id",
        "participant_matches",
        ("learner_id",),
        "",
    ),
    ("ix_portal_beats_started_at", "ix_webhook_heartbeats_started_at", "webhook_heartbeats", ("started_at",), ""),
    (
        "ix_sign_in_failures_account_hash_at",
        "ix_sign_in_failures_account_hash_failed_at",
        "sign_in_failures",
        ("account_hash", "failed_at"),
        "",
    ),
    (
        "ix_sign_in_failures_place_hash_at",
        "ix_sign_in_failures_client_hash_failed_at",
        "sign_in_failures",
        ("client_hash", "failed_at"),
        "",
    ),
    ("ix_spent_states_at", "ix_used_oidc_states_used_at", "used_oidc_states", ("used_at",), ""),
    (
        "ix_zoom_events_state_next_try_at",
        "ix_zoom_events_state_next_attempt_at",
        "zoom_events",
        ("state", "next_attempt_at"),
        "",
    ),
    (
        "ix_zoom_meetings_host_starts_at",
        "ix_zoom_meetings_host_email_starts_at",
        "zoom_meetings",
        ("host_email", "starts_at"),
        "",
    ),
    (
        "ix_zoom_meetings_wanted_next_try_at",
        "ix_zoom_meetings_pending_action_next_attempt_at",
        "zoom_meetings",
        ("pending_action", "next_attempt_at"),
        "",
    ),
)
CODES = {
    "zoom_meetings": {
        "state": {"waiting": "pending_zoom"},
        "error_code": {
            "not configured": "not_configured",
            "not authorised": "not_authorised",
            "host limit": "host_limit",
            "account limit": "account_limit",
            "rate limited": "rate_limited",
            "gone": "deleted_at_zoom",
            "host unknown": "host_unknown",
            "no host free": "no_free_host",
            "too late": "too_late",
            "dates missing": "occurrences_missing",
            "host not licensed": "host_unlicensed",
            "registration off": "registration_off",
        },
    },
    "meeting_history": {
        "event": {
            "tried again": "retried",
            "made at Zoom": "created_at_zoom",
            "changed at Zoom": "changed_at_zoom",
            "deleted at Zoom": "deleted_at_zoom",
            "trouble": "error",
            "registration began": "registration_started",
            "everybody registered": "registration_complete",
            "moved at Zoom": "moved_at_zoom",
            "gone at Zoom": "found_deleted_at_zoom",
            "recovered at Zoom": "recovered_at_zoom",
            "made again": "recreated",
            "invitations changed": "invitations_changed",
            "open mode": "open_mode",
            "other host": "host_changed",
            "date moved": "occurrence_moved",
            "date cancelled": "occurrence_cancelled",
            "date cancelled at Zoom": "occurrence_cancelled_at_zoom",
            "dates changed at Zoom": "occurrences_changed_at_zoom",
        }
    },
    "meeting_registrants": {
        "state": {"waiting": "queued", "pending": "pending_approval"},
        "reason": {
            "no address": "no_address",
            "outside the domain": "outside_domain",
            "shared address": "shared_address",
            "limit of the day": "daily_limit",
            "limit of the account": "account_limit",
            "rate limited": "rate_limited",
            "not configured": "not_configured",
            "not authorised": "not_authorised",
            "denied at Zoom": "denied_at_zoom",
            "cancelled at Zoom": "cancelled_at_zoom",
            "gone": "deleted_at_zoom",
            "host not licensed": "host_unlicensed",
            "registration off": "registration_off",
            "refused by Zoom": "refused",
        },
    },
    "attendance_sheets": {
        "state": {"waiting": "not_started"},
        "report_error": {
            "not ready": "not_ready",
            "empty report": "empty_report",
            "no running": "no_instance",
            "host not licensed": "host_unlicensed",
            "not authorised": "not_authorised",
            "not configured": "not_configured",
            "host limit": "host_limit",
            "account limit": "account_limit",
            "rate limited": "rate_limited",
            "gone": "deleted_at_zoom",
            "host unknown": "host_unknown",
            "no host free": "no_free_host",
            "too late": "too_late",
            "dates missing": "occurrences_missing",
            "registration off": "registration_off",
        },
    },
    "attendance_records": {
        "computed_mark": {"needs review": "needs_review"},
        "final_mark": {"needs review": "needs_review"},
    },
    "attendance_history": {
        "event": {
            "override removed": "override_removed",
            "matched staff": "matched_staff",
            "matched nobody": "matched_nobody",
            "match removed": "match_removed",
            "counts": "counts_in_reports",
            "does not count": "excluded_from_reports",
            "file taken in": "file_confirmed",
            "file taken back": "file_revoked",
        },
        "from_mark": {"needs review": "needs_review"},
        "to_mark": {"needs review": "needs_review"},
    },
    "participant_uploads": {"state": {"taken back": "revoked"}},
    "zoom_events": {"state": {"new": "pending", "waiting": "unmatched", "set aside": "failed"}},
    "mail_outbox": {"state": {"waiting": "queued"}},
    "account_requests": {"state": {"waiting": "pending", "refused": "rejected"}},
    "option_policies": {
        "rule": {
            "forced on": "forced_on",
            "default on": "default_on",
            "default off": "default_off",
            "not allowed": "not_allowed",
        }
    },
    "notifications": {
        "kind": {"sheet ready": "sheet_ready", "to match": "to_match", "registration failed": "registration_failed"}
    },
    "notification_opt_outs": {
        "kind": {"sheet ready": "sheet_ready", "to match": "to_match", "registration failed": "registration_failed"}
    },
    "enrolments": {"exit_reason": {"moved to another section": "moved"}},
    "zoom_blocks": {"reason": {"not configured": "not_configured"}},
    "audit_log": {
        "action": {
            "added a co-teacher": "added_co_teacher",
            "changed marks": "changed_marks",
            "changed the address": "changed_own_email",
            "changed the address of": "changed_learner_email",
            "changed the invitations of": "changed_invitations",
            "changed the name": "changed_own_name",
            "changed the policies of": "changed_policies",
            "changed the role": "changed_role",
            "checked Zoom": "checked_zoom",
            "chose a password": "set_password",
            "connected a sign-in": "linked_identity",
            "deleted the attendance": "deleted_attendance",
            "discarded a participants file": "discarded_participants_file",
            "disconnected a sign-in": "unlinked_identity",
            "ended a join link": "revoked_join_link",
            "ended the calendar link": "revoked_calendar_link",
            "exported School Form 2": "exported_sf2",
            "exported marks": "exported_marks",
            "exported the report": "exported_report",
            "exported the sheet": "exported_sheet",
            "finalised the sheet": "finalised_sheet",
            "handed over": "transferred_classes",
            "imported a roster": "imported_roster",
            "left the date out": "excluded_from_reports",
            "let the date count": "included_in_reports",
            "made again": "recreated_meeting",
            "matched a participant": "matched_participant",
            "opened a school year": "created_school_year",
            "opened learners' rows": "disclosed_learners",
            "printed the links": "printed_zoom_links",
            "recorded the day": "recorded_day",
            "refused a sign-in": "refused_sign_in",
            "removed a co-teacher": "removed_co_teacher",
            "renewed a join link": "rotated_join_link",
            "renewed all join links": "rotated_all_join_links",
            "renewed recovery codes": "regenerated_recovery_codes",
            "renewed the calendar link": "rotated_calendar_link",
            "reopened the sheet": "reopened_sheet",
            "replayed deliveries": "replayed_deliveries",
            "retried registration": "retried_registration",
            "saw the join links": "viewed_join_links",
            "searched the audit log": "searched_audit_log",
            "sent a link": "sent_access_link",
            "sent letters again": "requeued_mail",
            "set how long attendance is kept": "set_attendance_retention",
            "set the minutes of grace": "set_grace_minutes",
            "set up School Form 2": "set_sf2_options",
            "signed in": "signed_in",
            "signed out everywhere": "signed_out_everywhere",
            "switched codes off": "disabled_totp",
            "switched codes on": "enabled_totp",
            "took back": "readmitted",
            "took back a match": "undid_match",
            "took back a participants file": "revoked_participants_file",
            "took in a participants file": "confirmed_participants_file",
            "undid an import": "undid_import",
            "uploaded a participants file": "uploaded_participants_file",
            "used a recovery code": "used_recovery_code",
            "viewed School Form 2": "viewed_sf2",
            "viewed a participants file": "viewed_participants_file",
            "viewed a roster to import": "viewed_roster_import",
            "viewed the day": "viewed_day",
            "viewed the history": "viewed_history",
            "viewed the participants": "viewed_participants",
            "viewed the registrations": "viewed_registrations",
            "viewed the roster": "viewed_roster",
            "viewed the sheet": "viewed_sheet",
            "viewed who came": "viewed_attendance_of_staff",
            "was held back from exporting": "export_limited",
        },
        "subject_type": {
            "account request": "account_request",
            "class date": "occurrence",
            "class day": "calendar_day",
            "inbox": "deliveries",
            "roster import": "roster_import",
        },
    },
}
JSON_TEXTS = {
    "attendance_records": {
        "flags": {
            '"closed by meeting end"': '"closed_by_meeting_end"',
            '"no join seen"': '"no_join_seen"',
            '"no leave seen"': '"no_leave_seen"',
            '"times reversed"': '"times_reversed"',
            '"no time"': '"no_time"',
            '"waiting room only"': '"waiting_room_only"',
            '"waiting room unclear"': '"waiting_room_unclear"',
            '"minutes only"': '"minutes_only"',
            '"email of another"': '"email_of_another"',
            '"data incomplete"': '"data_incomplete"',
            '"may be unmatched"': '"may_be_unmatched"',
            '"short meeting"': '"short_meeting"',
        }
    },
    "attendance_history": {
        "details": {
            '"linked_by"': '"matched_by"',
            '"linked_at"': '"matched_at"',
            '"made_by"': '"created_by"',
            '"made_at"': '"created_at"',
        }
    },
    "participant_uploads": {
        "rows": {
            '"code": "not text"': '"code": "not_text"',
            '"code": "too large"': '"code": "too_large"',
            '"code": "too long"': '"code": "too_long"',
            '"code": "no columns"': '"code": "no_columns"',
            '"code": "no rows"': '"code": "no_rows"',
            '"code": "bad time"': '"code": "bad_time"',
            '"code": "bad minutes"': '"code": "bad_minutes"',
        }
    },
    "roster_imports": {
        "undo_journal": {
            '"reason":': '"exit_reason":',
            '"detail":': '"exit_detail":',
            '"moved to another section"': '"moved"',
        }
    },
}
DEFAULTS = {"zoom_events": {"state": ("new", "pending")}}
SERIAL_KEYS = (("join_openings", "join_link_uses"),)


def upgrade() -> None:
    bind = op.get_bind()
    for old, new in TABLES.items():
        op.rename_table(old, new)
    for table, columns in COLUMNS.items():
        for old, new in columns.items():
            op.execute(f'ALTER TABLE {table} RENAME COLUMN "{old}" TO "{new}"')
    _change(bind, forward=True)
    _split_details(bind)


def downgrade() -> None:
    bind = op.get_bind()
    _join_details(bind)
    _change(bind, forward=False)
    for table, columns in COLUMNS.items():
        for old, new in columns.items():
            op.execute(f'ALTER TABLE {table} RENAME COLUMN "{new}" TO "{old}"')
    for old, new in TABLES.items():
        op.rename_table(new, old)


def _change(bind: sa.Connection, *, forward: bool) -> None:
    """Names of constraints and indexes, checks and codes; the tables have their new names before and after."""
    if bind.dialect.name == "postgresql":
        _change_on_postgresql(bind, forward)
    else:
        _change_on_sqlite(bind, forward)


def _pairs(names: dict[str, str], forward: bool) -> list[tuple[str, str]]:
    return [(old, new) if forward else (new, old) for old, new in names.items()]


def _change_on_postgresql(bind: sa.Connection, forward: bool) -> None:
    for table, checks in CHECKS.items():
        for old, new, _before, _after in checks:
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {old if forward else new}")
    _change_codes(bind, forward)
    for table, checks in CHECKS.items():
        for old, new, before, after in checks:
            name, text = (new, after) if forward else (old, before)
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({text})")
    for table, defaults in DEFAULTS.items():
        for column, (before, after) in defaults.items():
            value = _quoted(after if forward else before)
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {value}")
    for table, names in CONSTRAINTS.items():
        for before, after in _pairs(names, forward):
            op.execute(f'ALTER TABLE {table} RENAME CONSTRAINT "{before}" TO "{after}"')
    for old, new, *_definition in INDEXES:
        before, after = (old, new) if forward else (new, old)
        op.execute(f'ALTER INDEX "{before}" RENAME TO "{after}"')
    for old, new in SERIAL_KEYS:
        before, after = (old, new) if forward else (new, old)
        op.execute(f'ALTER SEQUENCE "{before}_id_seq" RENAME TO "{after}_id_seq"')


def _change_on_sqlite(bind: sa.Connection, forward: bool) -> None:
    for old, new, *_definition in INDEXES:
        op.execute(f'DROP INDEX "{old if forward else new}"')
    bind.exec_driver_sql("PRAGMA legacy_alter_table=ON")  # a table renamed below keeps what refers to it
    for table in sorted({*CONSTRAINTS, *CHECKS}):
        _make_anew(bind, table, forward)
    bind.exec_driver_sql("PRAGMA legacy_alter_table=OFF")
    made_anew = {*CONSTRAINTS, *CHECKS}
    _change_codes(bind, forward, leave_out=made_anew)
    for old, new, table, columns, where in INDEXES:  # on the way back SQLite renames their columns with the table's
        name = new if forward else old
        op.execute(f'CREATE INDEX "{name}" ON {table} ({", ".join(columns)})' + (f" WHERE {where}" if where else ""))


def _make_anew(bind: sa.Connection, table: str, forward: bool) -> None:
    """The table from its own definition, with other names and checks, and its rows with other codes."""
    definition = bind.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE type='table' AND name=?", (table,)
    ).scalar_one()
    indexes = bind.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE type='index' AND tbl_name=? AND sql IS NOT NULL", (table,)
    ).scalars()
    indexes = list(indexes)
    for before, after in _pairs(CONSTRAINTS.get(table, {}), forward):
        definition, count = re.subn(rf'CONSTRAINT "?{before}"?(?!\w)', f'CONSTRAINT "{after}"', definition)
        if count != 1:
            raise RuntimeError(f"{table}: {before} is not there once")
    for old, new, before, after in CHECKS.get(table, ()):
        name, other, text = (old, new, after) if forward else (new, old, before)
        definition = _replace_check(definition, name, other, text)
    for old_value, new_value in DEFAULTS.get(table, {}).values():
        before, after = (old_value, new_value) if forward else (new_value, old_value)
        definition = definition.replace(f"DEFAULT {_quoted(before)}", f"DEFAULT {_quoted(after)}")
    temporary = f"_{table}_anew"
    head = re.match(r'CREATE TABLE "?\w+"?', definition)
    bind.exec_driver_sql(f'CREATE TABLE "{temporary}"' + definition[head.end() :])
    columns = [row[1] for row in bind.exec_driver_sql(f'PRAGMA table_info("{table}")')]
    codes = CODES.get(table, {})
    texts = JSON_TEXTS.get(table, {})
    values = []
    for column in columns:
        if column in codes:
            values.append(_code_case(column, codes[column], forward))
        elif column in texts:
            values.append(_json_replace(f'"{column}"', texts[column], forward))
        else:
            values.append(f'"{column}"')
    names = ", ".join(f'"{column}"' for column in columns)
    op.execute(
        sa.text(f'INSERT INTO "{temporary}" ({names}) SELECT {", ".join(values)} FROM "{table}"'.replace(":", r"\:"))
    )
    bind.exec_driver_sql(f'DROP TABLE "{table}"')
    bind.exec_driver_sql(f'ALTER TABLE "{temporary}" RENAME TO "{table}"')
    for text in indexes:
        bind.exec_driver_sql(text)


def _replace_check(definition: str, name: str, new_name: str, text: str) -> str:
    found = re.search(rf'CONSTRAINT "?{name}"? CHECK \(', definition)
    if found is None:
        raise RuntimeError(f"no check {name}")
    depth, end = 1, found.end()
    while depth:
        depth += {"(": 1, ")": -1}.get(definition[end], 0)
        end += 1
    return definition[: found.start()] + f'CONSTRAINT "{new_name}" CHECK ({text})' + definition[end:]


def _code_case(column: str, codes: dict[str, str], forward: bool) -> str:
    whens = " ".join(f"WHEN {_quoted(before)} THEN {_quoted(after)}" for before, after in _pairs(codes, forward))
    return f'CASE "{column}" {whens} ELSE "{column}" END'


def _json_replace(expression: str, texts: dict[str, str], forward: bool) -> str:
    for before, after in _pairs(texts, forward):
        expression = f"replace({expression}, {_quoted(before)}, {_quoted(after)})"
    return expression


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _change_codes(bind: sa.Connection, forward: bool, leave_out: frozenset[str] | set[str] = frozenset()) -> None:
    for table, columns in CODES.items():
        for column, codes in columns.items():
            if table in leave_out:
                continue
            befores = ", ".join(_quoted(before) for before, _after in _pairs(codes, forward))
            text = (
                f'UPDATE {table} SET "{column}" = {_code_case(column, codes, forward)} WHERE "{column}" IN ({befores})'
            )
            op.execute(sa.text(text.replace(":", r"\:")))
    for table, columns in JSON_TEXTS.items():
        for column, texts in columns.items():
            if table in leave_out:
                continue
            likes = " OR ".join(
                f'CAST("{column}" AS TEXT) LIKE {_quoted("%" + before + "%")}'
                for before, _after in _pairs(texts, forward)
            )
            value = _json_replace(f'CAST("{column}" AS TEXT)', texts, forward)
            if bind.dialect.name == "postgresql":
                value = f"CAST({value} AS JSON)"
            op.execute(sa.text(f'UPDATE {table} SET "{column}" = {value} WHERE {likes}'.replace(":", r"\:")))


_HISTORY = sa.table(
    "meeting_history",
    sa.column("id", sa.Integer),
    sa.column("event", sa.String),
    sa.column("detail", sa.String),
    sa.column("occurrence_date", sa.Date),
    sa.column("moved_to", sa.DateTime(timezone=True)),
    sa.column("reason", sa.String),
    sa.column("error_code", sa.String),
    sa.column("host_email", sa.String),
    sa.column("number", sa.Integer),
)


def _split_details(bind: sa.Connection) -> None:
    """One text with five meanings becomes columns: "2026-11-17 typhoon" is a date and a reason."""
    with op.batch_alter_table("meeting_history") as table:
        table.add_column(sa.Column("occurrence_date", sa.Date(), nullable=True))
        table.add_column(sa.Column("moved_to", sa.DateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("reason", sa.String(), nullable=True))
        table.add_column(sa.Column("error_code", sa.String(40), nullable=True))
        table.add_column(sa.Column("host_email", sa.String(254), nullable=True))
        table.add_column(sa.Column("number", sa.Integer(), nullable=True))
    rows = bind.execute(
        sa.select(_HISTORY.c.id, _HISTORY.c.event, _HISTORY.c.detail).where(_HISTORY.c.detail.is_not(None))
    )
    parts = ("occurrence_date", "moved_to", "reason", "error_code", "host_email", "number")
    _set_columns(bind, parts, [{"key": row.id, **_columns_of(row.event, row.detail)} for row in rows])
    with op.batch_alter_table("meeting_history") as table:
        table.drop_column("detail")


def _set_columns(bind: sa.Connection, names: tuple[str, ...], rows: list[dict[str, object]]) -> None:
    """One statement for all rows; what a row does not name becomes empty."""
    if rows:
        values = {name: sa.bindparam(f"new_{name}") for name in names}
        statement = _HISTORY.update().where(_HISTORY.c.id == sa.bindparam("key")).values(values)
        bind.execute(
            statement, [{"key": row["key"], **{f"new_{name}": row.get(name) for name in names}} for row in rows]
        )


def _columns_of(event: str, detail: str) -> dict[str, object]:
    if event in ("occurrence_moved", "occurrence_cancelled", "occurrence_cancelled_at_zoom"):
        day, _blank, rest = detail.partition(" ")
        values: dict[str, object] = {"occurrence_date": date.fromisoformat(day)}
        if event == "occurrence_moved" and rest:
            return values | {"moved_to": datetime.fromisoformat(rest).astimezone(UTC)}  # SQLite keeps no zone
        return values | {"reason": rest or None}
    if event == "error":
        return {"error_code": CODES["zoom_meetings"]["error_code"].get(detail, detail)[:40]}
    if event == "host_changed":
        return {"host_email": detail}
    if event in ("registration_started", "occurrences_changed_at_zoom") and detail.isdigit():
        return {"number": int(detail)}
    return {"reason": detail}


def _join_details(bind: sa.Connection) -> None:
    with op.batch_alter_table("meeting_history") as table:
        table.add_column(sa.Column("detail", sa.String(), nullable=True))
    before = {after: before for before, after in CODES["zoom_meetings"]["error_code"].items()}
    details = []
    for row in bind.execute(sa.select(_HISTORY)):
        parts = [
            row.occurrence_date.isoformat() if row.occurrence_date else "",
            _in_manila(row.moved_to).isoformat() if row.moved_to else "",
            row.reason or "",
            before.get(row.error_code, row.error_code or ""),
            row.host_email or "",
            "" if row.number is None else str(row.number),
        ]
        detail = " ".join(part for part in parts if part)
        if detail:
            details.append({"key": row.id, "detail": detail})
    _set_columns(bind, ("detail",), details)
    with op.batch_alter_table("meeting_history") as table:
        for name in ("occurrence_date", "moved_to", "reason", "error_code", "host_email", "number"):
            table.drop_column(name)


def _in_manila(moment: datetime) -> datetime:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(timezone(timedelta(hours=8)))

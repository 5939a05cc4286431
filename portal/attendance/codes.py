"""Enums of the codes of sheets and records: marks, flags, states, history events.

`messages` and `sheet.explain` turn them into sentences, `states` has the allowed transitions.
"""

from enum import StrEnum


class Mark(StrEnum):
    """A learner's mark on a sheet."""

    PENDING = "pending"
    PRESENT = "present"
    PARTIAL = "partial"
    ABSENT = "absent"
    NEEDS_REVIEW = "needs_review"

    @property
    def file_text(self) -> str:
        """The spelling in the attendance CSV and other files: with a blank, for compatibility."""
        return self.value.replace("_", " ")


class SheetState(StrEnum):
    """State of a sheet. Finalisation is a separate column."""

    NOT_STARTED = "not_started"
    LIVE = "live"
    PROVISIONAL = "provisional"
    RECONCILED = "reconciled"
    UNREPORTED = "unreported"


class RecordFlag(StrEnum):
    """A note on how a mark came about, for the teacher."""

    CLOSED_BY_MEETING_END = "closed_by_meeting_end"
    NO_JOIN_SEEN = "no_join_seen"
    NO_LEAVE_SEEN = "no_leave_seen"
    TIMES_REVERSED = "times_reversed"
    NO_TIME = "no_time"
    WAITING_ROOM_ONLY = "waiting_room_only"
    WAITING_ROOM_UNCLEAR = "waiting_room_unclear"
    MINUTES_ONLY = "minutes_only"
    EMAIL_OF_ANOTHER = "email_of_another"
    DATA_INCOMPLETE = "data_incomplete"
    MAY_BE_UNMATCHED = "may_be_unmatched"
    SHORT_MEETING = "short_meeting"
    GAP = "gap"


class SheetEvent(StrEnum):
    """An event in a sheet's history."""

    COMPUTED = "computed"
    OVERRIDE = "override"
    OVERRIDE_REMOVED = "override_removed"
    FINALISED = "finalised"
    REOPENED = "reopened"
    MATCHED = "matched"
    MATCHED_STAFF = "matched_staff"
    MATCHED_NOBODY = "matched_nobody"
    MATCH_REMOVED = "match_removed"
    COUNTS_IN_REPORTS = "counts_in_reports"
    EXCLUDED_FROM_REPORTS = "excluded_from_reports"
    FILE_CONFIRMED = "file_confirmed"
    FILE_REVOKED = "file_revoked"


class ReportError(StrEnum):
    """Why Zoom's report of a class is missing."""

    NOT_READY = "not_ready"
    EMPTY_REPORT = "empty_report"
    NO_INSTANCE = "no_instance"
    HOST_UNLICENSED = "host_unlicensed"
    NOT_AUTHORISED = "not_authorised"


class UploadState(StrEnum):
    """State of an uploaded participants file."""

    PREVIEW = "preview"
    CONFIRMED = "confirmed"
    DISCARDED = "discarded"
    REVOKED = "revoked"


class SuggestionReason(StrEnum):
    """Why a learner is suggested for a displayed name."""

    ALIAS = "alias"
    OTHER_CLASS_ALIAS = "other_class_alias"
    SEAT_NUMBER = "seat_number"
    SECTION_PREFIX = "section_prefix"
    NEARLY_THE_SAME_NAME = "nearly_the_same_name"
    ONLY_ONE_WITH_THAT_FIRST_NAME = "only_one_with_that_first_name"
    SHORT_NAME = "short_name"
    INITIAL = "initial"
    SURNAME_FIRST = "surname_first"
    SAME_NAME = "same_name"
    SAME_SURNAME = "same_surname"


class FileErrorCode(StrEnum):
    """What is wrong with a participants file or with one of its rows."""

    EMPTY = "empty"
    NOT_TEXT = "not_text"
    EXCEL = "excel"
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    NO_COLUMNS = "no_columns"
    NO_ROWS = "no_rows"
    BAD_TIME = "bad_time"
    BAD_MINUTES = "bad_minutes"

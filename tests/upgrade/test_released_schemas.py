"""A filled database of every released schema comes to the present one: each row, each code and each secret with it."""

import hashlib
import importlib
import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask_migrate import downgrade, upgrade
from sqlalchemy.orm import InstrumentedAttribute

from portal.accounts.codes import AccountRequestState
from portal.accounts.models import AccountRequest, PendingAuthRequest, User
from portal.attendance.codes import Mark, RecordFlag, ReportError, SheetEvent, SheetState, UploadState
from portal.attendance.evidence.participants_csv import FileProblem
from portal.attendance.models import (
    AttendanceHistory,
    AttendanceRecord,
    AttendanceSheet,
    ParticipantUpload,
)
from portal.classes.codes import ImportState
from portal.classes.models import Enrolment, RosterImport
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.audit_log import AuditEntry
from portal.core.client_hash import IpHashKey
from portal.core.crypto import decrypt_for_row
from portal.core.db import Base, db, is_postgresql
from portal.core.mail.codes import MailState
from portal.core.mail.outbox import OutboxMail
from portal.meetings.codes import (
    Audience,
    MeetingError,
    MeetingEvent,
    MeetingKind,
    MeetingState,
    OccurrenceState,
    PendingAction,
    PolicyRule,
)
from portal.meetings.models import MeetingHistory, MeetingOccurrence, ZoomMeeting
from portal.meetings.option_policies import OptionPolicy
from portal.notifications.codes import Channel, NotificationKind
from portal.notifications.models import Notification, NotificationOptOut
from portal.registration.codes import RegistrantState, RegistrationError
from portal.registration.join_links import CalendarLink, JoinLink
from portal.registration.models import MeetingRegistrant
from portal.webhooks.codes import DeliveryState
from portal.webhooks.models import ZoomEvent
from portal.zoom_account.models import ZoomBlock, ZoomToken
from portal.zoom_account.write_block import BlockReason
from tests.upgrade.conftest import Releases

RELEASED = [f"{number:04d}" for number in range(1, 23)]
VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"
NAMES = importlib.import_module("migrations.versions.0023_names_of_the_field").TABLES
Counts = dict[str, int]
Snapshot = dict[str, list[tuple[Any, ...]]]

CODES: dict[InstrumentedAttribute[Any], Collection[str]] = {
    AccountRequest.state: AccountRequestState,
    AttendanceHistory.event: SheetEvent,
    AttendanceHistory.from_mark: Mark,
    AttendanceHistory.to_mark: Mark,
    AttendanceRecord.computed_mark: Mark,
    AttendanceRecord.override_mark: {Mark.PRESENT},
    AttendanceRecord.final_mark: Mark,
    AttendanceRecord.flags: {*RecordFlag, "early", "after"},
    AttendanceSheet.state: SheetState,
    AttendanceSheet.report_error: {*ReportError, MeetingError.ACCOUNT_LIMIT},
    AuditEntry.action: AuditAction,
    AuditEntry.subject_type: AuditSubject,
    Enrolment.exit_reason: {"moved", "T/O", "DRP"},
    Enrolment.entry_reason: {"LE", "T/I"},
    OutboxMail.state: MailState,
    MeetingHistory.event: MeetingEvent,
    MeetingHistory.error_code: {MeetingError.HOST_LIMIT},
    MeetingOccurrence.state: OccurrenceState,
    MeetingRegistrant.state: RegistrantState,
    MeetingRegistrant.reason: RegistrationError,
    Notification.kind: NotificationKind,
    NotificationOptOut.kind: NotificationKind,
    NotificationOptOut.channel: Channel,
    OptionPolicy.rule: PolicyRule,
    ParticipantUpload.state: UploadState,
    RosterImport.state: ImportState,
    ZoomBlock.reason: BlockReason,
    ZoomEvent.state: DeliveryState,
    ZoomMeeting.audience: Audience,
    ZoomMeeting.error_code: MeetingError,
    ZoomMeeting.kind: MeetingKind,
    ZoomMeeting.pending_action: PendingAction,
    ZoomMeeting.state: MeetingState,
}
SECRETS: dict[InstrumentedAttribute[Any], str] = {
    CalendarLink.token_encrypted: "calendar_links/{key}",
    IpHashKey.key_encrypted: "ip_day_keys/{key}",
    JoinLink.token_encrypted: "join_links/{key}",
    OutboxMail.content_encrypted: "mail_outbox/{key}",
    MeetingRegistrant.join_url_encrypted: "meeting_registrants/{key}",
    PendingAuthRequest.request_encrypted: "door_wishes/{key}",
    User.totp_secret_encrypted: "users/{key}/totp",
    ZoomMeeting.join_url_encrypted: "zoom_meetings/{key}/join_url",
    ZoomMeeting.passcode_encrypted: "zoom_meetings/{key}/password",
    ZoomToken.token_encrypted: "zoom_tokens/{key}",
}
# what was released stays as it is: a database that has run it does not run it again
HASHES = {
    "0001": "93ddff1f366a5b14",
    "0002": "16547a017843cb17",
    "0003": "b46b776ce805beb9",
    "0004": "c702dbf5b66bf893",
    "0005": "8362fe649a07c797",
    "0006": "33fc0d8f9bd21727",
    "0007": "867b66a6d02a325d",
    "0008": "2fa3e3535fd56257",
    "0009": "988b6aeb63405bc7",
    "0010": "c7673bb686844b29",
    "0011": "20c6b928ebbf0047",
    "0012": "cae8eeae2de4add3",
    "0013": "ba9fe8cba6fb44d3",
    "0014": "652ed12c14c7dbcb",
    "0015": "1b7fa7aee04293fc",
    "0016": "73722bb090b2aaee",
    "0017": "4e3bd05a89f71e41",
    "0018": "bbaf06e4897d253b",
    "0019": "ae82b2e0b7e69e7e",
    "0020": "d50b6b4205bd3871",
    "0021": "4898f747cfcaa57e",
    "0022": "ddc7119a6642e0b2",
}


def test_no_released_migration_is_changed() -> None:
    hashes = {
        path.name[:4]: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in sorted(VERSIONS.glob("[0-9]*.py"))
    }
    assert {revision: hashes[revision] for revision in RELEASED} == HASHES


@pytest.mark.parametrize("revision", RELEASED)
def test_a_filled_database_of_each_release_is_upgraded_with_all_its_rows(
    releases: Releases, kept: Path, revision: str
) -> None:
    with releases.filled(revision, kept / "rows" / f"{revision}.sql.gz"):
        before = count_rows()
        assert all(before.values()), "every table has rows"
        upgrade()
        after = count_rows()
        assert {NAMES.get(table, table): number for table, number in before.items()} == {
            NAMES.get(table, table): after[NAMES.get(table, table)] for table in before
        }
        assert broken_foreign_keys() == []
        assert difference_from_the_models() == []
        assert checks_of_the_database() == checks_of_the_models()
        assert unknown_codes() == {}
        assert read_secrets()


def test_every_code_that_was_stored_is_a_code_of_today(releases: Releases, kept: Path) -> None:
    with releases.filled("0022", kept / "rows" / "0022.sql.gz"):
        upgrade()
        for column, known in CODES.items():
            assert stored_codes(column) == set(known), column


def test_every_secret_still_opens_for_its_row(releases: Releases, kept: Path) -> None:
    encrypted = {
        column for table in Base.metadata.tables.values() for column in table.columns if "_encrypted" in column.name
    }
    assert {attribute.property.columns[0] for attribute in SECRETS} == encrypted
    with releases.filled("0022", kept / "rows" / "0022.sql.gz"):
        upgrade()
        read = read_secrets()
        meeting = db.session.scalars(sa.select(ZoomMeeting).where(ZoomMeeting.passcode_encrypted.is_not(None))).one()
        assert (meeting.join_url, meeting.passcode) == ("https://zoom.us/j/1", "1234")
        links = db.session.scalars(sa.select(JoinLink).order_by(JoinLink.learner_id.is_(None)))
        assert [link.token for link in links] == ["token 0", "token 1"]
    assert set(read) == set(SECRETS) and read[User.totp_secret_encrypted] == "JBSWY3DPEHPK3PXP"


def test_a_history_line_of_one_text_becomes_columns_with_the_right_time(releases: Releases, kept: Path) -> None:
    with releases.filled("0022", kept / "rows" / "0022.sql.gz"):
        upgrade()
        lines = {line.event: line for line in db.session.scalars(sa.select(MeetingHistory))}
    moved, cancelled = lines[MeetingEvent.OCCURRENCE_MOVED], lines[MeetingEvent.OCCURRENCE_CANCELLED]
    assert moved.occurrence_date and moved.occurrence_date.isoformat() == "2026-11-17"
    assert moved.moved_to and moved.moved_to.isoformat() == "2026-11-18T02:30:00+00:00"
    assert (str(cancelled.occurrence_date), cancelled.reason) == ("2026-11-19", "Division sports day")
    assert lines[MeetingEvent.HOST_CHANGED].host_email == "pool1@r1.deped.gov.ph"
    assert lines[MeetingEvent.REGISTRATION_STARTED].number == 45
    assert lines[MeetingEvent.CANCELLED].reason == "Typhoon signal no. 3"


def test_what_json_columns_kept_is_read_with_the_new_names(releases: Releases, kept: Path) -> None:
    with releases.filled("0022", kept / "rows" / "0022.sql.gz"):
        upgrade()
        [details] = db.session.scalars(
            sa.select(AttendanceHistory.details).where(AttendanceHistory.event == SheetEvent.MATCHED)
        )
        [journal] = db.session.scalars(
            sa.select(RosterImport.undo_journal).where(RosterImport.undo_journal.is_not(None))
        )
        [upload] = db.session.scalars(sa.select(ParticipantUpload.rows).where(ParticipantUpload.rows.is_not(None)))
    assert {"matched_by", "matched_at"} <= set(details["links"][0])
    assert {"created_by", "created_at"} <= set(details["aliases"][0])
    [entry] = journal.values()
    assert entry["times_after"][0]["exit_reason"] == "moved"
    assert FileProblem(**upload["problems"][0]).code == "bad_time"


def test_the_newest_migration_goes_back_and_forth_without_a_change(releases: Releases, kept: Path) -> None:
    with releases.filled("0022", kept / "rows" / "0022.sql.gz"):
        old = all_rows()
        upgrade()
        new = all_rows()
        downgrade(revision="0022")
        assert with_one_word_for_a_date(all_rows()) == with_one_word_for_a_date(old)
        upgrade()
        assert all_rows() == new


def count_rows() -> Counts:
    with db.engine.connect() as connection:
        names = sa.inspect(connection).get_table_names()
        counts = (
            sa.select(sa.literal(name), sa.select(sa.func.count()).select_from(sa.table(name)).scalar_subquery())
            for name in names
            if name != "alembic_version"
        )
        return dict(connection.execute(sa.union_all(*counts)).all())


def all_rows() -> Snapshot:
    """Every value of every row, columns by name."""
    metadata = sa.MetaData()
    rows: Snapshot = {}
    with db.engine.connect() as connection:
        metadata.reflect(connection)
        for table in metadata.sorted_tables:
            columns = [sa.cast(table.c[name], sa.Text).label(name) for name in sorted(table.c.keys())]
            found = connection.execute(sa.select(*columns)).all()
            rows[table.name] = sorted((tuple(row) for row in found), key=repr)
    return rows


def with_one_word_for_a_date(rows: Snapshot) -> Snapshot:
    """Revision 0022 had "class date" and "occurrence" for the same in its log, and read both; there is one word now."""
    words = {"class date": "occurrence"}
    log = [tuple(words.get(value, value) for value in row) for row in rows["audit_log"]]
    return rows | {"audit_log": sorted(log, key=repr)}


def broken_foreign_keys() -> list[Any]:
    """What SQLite finds; PostgreSQL checks each row as it is written."""
    if is_postgresql():
        return []
    with db.engine.connect() as connection:
        return list(connection.exec_driver_sql("PRAGMA foreign_key_check").all())


def difference_from_the_models() -> list[Any]:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def checks_of_the_database() -> dict[str, set[str]]:
    """The codes that the CHECKs name, by constraint: PostgreSQL writes the rest of their text in its own way."""
    with db.engine.connect() as connection:
        found = sa.inspect(connection).get_multi_check_constraints()
    return {str(check["name"]): quoted(check["sqltext"]) for checks in found.values() for check in checks}


def checks_of_the_models() -> dict[str, set[str]]:
    return {
        str(constraint.name): quoted(str(constraint.sqltext))
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint)
    }


def quoted(text: str) -> set[str]:
    return set(re.findall(r"'([^']*)'", text))


def stored_codes(column: InstrumentedAttribute[Any]) -> set[str]:
    values = set()
    for value in db.session.scalars(sa.select(sa.cast(column, sa.Text)).distinct()):
        values |= set(json.loads(value)) if value and value.startswith("[") else {value}
    return values - {None}


def unknown_codes() -> dict[str, set[str]]:
    found = {str(column): stored_codes(column) - set(known) for column, known in CODES.items()}
    return {column: codes for column, codes in found.items() if codes}


def read_secrets() -> dict[InstrumentedAttribute[Any], str]:
    """One secret of each encrypted column, all of them opened for their own rows."""
    read = {}
    for column, row in SECRETS.items():
        [key] = column.class_.__table__.primary_key.columns
        for name, value in db.session.execute(sa.select(key, column).where(column.is_not(None))):
            read[column] = decrypt_for_row(value, row.format(key=name))
    return read

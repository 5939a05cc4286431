"""Loads the evidence of one class date: sheet, instances, stays, manual matches, roster, registrants and aliases.

Page, CSV, reports and the stored records are all computed from what `load_sheet_evidence` returns, so they agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Uuid, and_, bindparam, false, null, or_, select, union_all

from portal.accounts.models import User
from portal.attendance.calculation import stays
from portal.attendance.calculation.marks import (
    ConfirmedAlias,
    InstanceTimes,
    ManualMatch,
    RosterLearner,
    SheetInput,
    StaffMember,
)
from portal.attendance.models import (
    AttendanceRecord,
    AttendanceSheet,
    ParticipantAlias,
    ParticipantMatch,
    ZoomParticipant,
)
from portal.attendance.sheet.completeness import (
    EvidenceRows,
    assess_data_completeness,
    is_file_without_times,
    is_uploaded_file,
    last_end_of,
    reported_instance_ids,
)
from portal.classes import queries as class_queries
from portal.classes.models import Enrolment, SchoolClass, Section, co_teachers
from portal.core import clock
from portal.core.db import db
from portal.core.settings import current_settings
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.registration.desired_registrants import learner_registration_email
from portal.registration.models import FormerRegistrant, MeetingRegistrant


@dataclass(frozen=True)
class LearnerRecord:
    """A learner of the roster with what people stored in the record: override and final mark."""

    learner: class_queries.RosterEntry
    override_mark: str | None
    override_reason: str | None
    override_by: str | None
    override_at: datetime | None
    final_mark: str | None


@dataclass(frozen=True)
class SheetEvidence:
    """The input of a sheet's computation, and the stored decisions beside it.

    `reported`: Zoom's report or an uploaded file covers every instance. `uploaded`: a file was uploaded.
    `has_instances`: at least one instance is known. `deleted`: retention deleted the attendance of that school year.
    """

    input: SheetInput
    lines: tuple[LearnerRecord, ...]
    sheet: AttendanceSheet | None
    reported: bool
    ended_at: datetime | None
    uploaded: bool
    has_instances: bool
    grace_minutes: int | None
    signer: str | None = None  # who finalised the sheet
    deleted: bool = False


def load_sheet_evidence(
    occurrence: MeetingOccurrence,
    meeting: ZoomMeeting,
    extra: tuple[ZoomInstance, list[ZoomParticipant]] | None = None,
) -> SheetEvidence:
    """Load the evidence of one class date in five to eight statements, whatever the number of rows.

    `extra` is an instance with its stays that is added to the loaded ones: for the preview of an uploaded file.
    """
    evidence_rows = _load_evidence_rows(occurrence)
    if extra and extra[0].uuid not in {instance.uuid for instance in evidence_rows.instances}:
        evidence_rows.instances.append(extra[0])
        evidence_rows.rows.extend(
            _build_source_row(extra[0].uuid, *(getattr(row, name) for name in _STAY_COLUMNS)) for row in extra[1]
        )
    paired = stays.build_stays_from_rows(evidence_rows.rows, meeting.host_email)
    lines = _load_learner_records(occurrence, meeting)
    registrant_ids, staff = _load_registrants_and_staff(meeting)
    settings = current_settings()
    aliases, elsewhere = _load_aliases(meeting, lines)
    reported_ids = reported_instance_ids(evidence_rows)
    completeness = assess_data_completeness(
        occurrence,
        meeting,
        evidence_rows,
        reported_ids,
        has_marks=any(line.override_mark or line.final_mark for line in lines),
    )
    return SheetEvidence(
        input=SheetInput(
            planned_start=occurrence.starts_at,
            planned_end=occurrence.ends_at,
            threshold=occurrence.threshold_seconds,
            grace_minutes=evidence_rows.section[1] if occurrence.is_scheduled else None,
            instances=tuple(
                InstanceTimes(row.uuid, row.started_at, row.ended_at)
                for row in evidence_rows.instances
                if not is_file_without_times(row)
            ),
            stays=paired.stays,
            roster=tuple(
                RosterLearner(
                    learner_id=str(line.learner.learner_id),
                    registrant_ids=frozenset(registrant_ids.get(line.learner.learner_id, ())),
                    # what the learner is registered with: Zoom's file knows no registrant id
                    email=learner_registration_email(line.learner.lrn, line.learner.email, settings.email_domains),
                    name=line.learner.lis_name,
                )
                for line in lines
            ),
            staff=tuple(
                StaffMember(str(user_id), frozenset(registrant_ids.get(user_id, ())), email, (name,))
                for user_id, (email, name) in sorted(staff.items())
            ),
            links=_build_manual_matches(evidence_rows.links, paired.stay_of_row),
            aliases=aliases,
            knowledge=completeness,
            now=clock.now(),
            section=evidence_rows.section[0],
            elsewhere=elsewhere,
        ),
        lines=lines,
        sheet=evidence_rows.sheet,
        reported=bool(reported_ids) and completeness.is_complete,
        ended_at=last_end_of(evidence_rows),
        uploaded=any(is_uploaded_file(row) for row in evidence_rows.instances),
        has_instances=bool(evidence_rows.instances),
        grace_minutes=evidence_rows.section[1],
        signer=evidence_rows.signer,
        deleted=evidence_rows.deleted,
    )


_sheet_and_instances = (
    select(
        AttendanceSheet,
        ZoomInstance,
        Section.grade_level,
        Section.name,
        Section.late_grace_minutes,
        Section.attendance_deleted_at,
        User.full_name,
    )
    .select_from(MeetingOccurrence)
    .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
    .outerjoin(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
    .outerjoin(Section, Section.id == SchoolClass.section_id)
    .outerjoin(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
    .outerjoin(User, User.id == AttendanceSheet.finalised_by)
    .outerjoin(ZoomInstance, ZoomInstance.occurrence_id == MeetingOccurrence.id)
    .where(MeetingOccurrence.id == bindparam("occurrence_id"))
)

# The columns of a stay in the order of `SourceRow`. Plain columns instead of ORM rows: there are many of them, and none
# is changed here.
_STAY_COLUMNS = (
    "id",
    "session",
    "room",
    "source",
    "sequence",
    "joined_at",
    "left_at",
    "registrant_id",
    "email",
    "zoom_user_id",
    "name",
    "is_host",
    "parent_session",
    "duration_seconds",
)
_instances, _participants, _decisions = ZoomInstance.__table__, ZoomParticipant.__table__, ParticipantMatch.__table__
_stays_and_decisions = (
    select(
        _decisions.c.id,
        _decisions.c.learner_id,
        _decisions.c.is_staff,
        _instances.c.uuid,
        *(_participants.c[name] for name in _STAY_COLUMNS),
    )
    .select_from(
        _instances.join(_participants, _participants.c.instance_id == _instances.c.id).outerjoin(
            _decisions, _decisions.c.participant_id == _participants.c.id
        )
    )
    .where(_instances.c.occurrence_id == bindparam("occurrence_id"))
)


def _load_evidence_rows(occurrence: MeetingOccurrence) -> EvidenceRows:
    """Load sheet and instances in one statement, their stays and the manual matches in another."""
    found = db.session.execute(
        _sheet_and_instances, {"occurrence_id": occurrence.id}, execution_options={"populate_existing": True}
    ).all()
    sheet, grade_level, name, grace, deleted_at, signer = (found[0][0], *found[0][2:]) if found else (None,) * 6
    instances = [row[1] for row in found if row[1] is not None]
    rows: dict[UUID, stays.SourceRow] = {}
    links = []
    for link, learner_id, is_staff, uuid, *values in (
        db.session.execute(_stays_and_decisions, {"occurrence_id": occurrence.id}) if instances else ()
    ):
        row = rows.get(values[0])
        if row is None:
            row = rows[values[0]] = _build_source_row(uuid, *values)
        if link is not None:
            links.append((row.id, str(learner_id) if learner_id else None, is_staff))
    return EvidenceRows(
        sheet=sheet,
        instances=instances,
        rows=list(rows.values()),
        links=links,
        section=(f"{grade_level}-{name}" if name else "", grace),
        signer=signer,
        deleted=deleted_at is not None,
    )


def _build_source_row(uuid: str, row_id: UUID, *values: Any) -> stays.SourceRow:
    """A `SourceRow` from the columns `_STAY_COLUMNS`. Check constraints restrict room and source to their values."""
    return stays.SourceRow(str(row_id), uuid, *values)


_roster = (
    class_queries.select_roster(bindparam("day"))
    .join(SchoolClass, SchoolClass.section_id == Enrolment.section_id)
    .outerjoin(
        AttendanceRecord,
        and_(
            AttendanceRecord.learner_id == Enrolment.learner_id,
            AttendanceRecord.occurrence_id == bindparam("occurrence_id"),
        ),
    )
    .outerjoin(User, User.id == AttendanceRecord.override_by)
    .where(SchoolClass.id == bindparam("class_id"))
    .add_columns(  # in the order of `LearnerRecord`
        AttendanceRecord.override_mark,
        AttendanceRecord.override_reason,
        User.full_name,
        AttendanceRecord.override_at,
        AttendanceRecord.final_mark,
    )
)


def _load_learner_records(occurrence: MeetingOccurrence, meeting: ZoomMeeting) -> tuple[LearnerRecord, ...]:
    """Load the roster of that day with each learner's record, in LIS order."""
    if meeting.class_id is None:
        return ()
    rows = db.session.execute(
        _roster, {"day": occurrence.local_date, "occurrence_id": occurrence.id, "class_id": meeting.class_id}
    )
    lines: dict[UUID, LearnerRecord] = {}
    for row in rows:
        learner = class_queries.RosterEntry(*row[:_ROSTER_COLUMN_COUNT])
        lines.setdefault(learner.learner_id, LearnerRecord(learner, *row[_ROSTER_COLUMN_COUNT:]))
    return tuple(lines.values())


_ROSTER_COLUMN_COUNT = len(fields(class_queries.RosterEntry))


def _select_registrants(table: type[MeetingRegistrant | FormerRegistrant]) -> Select[*tuple[Any, ...]]:
    return (
        select(table.learner_id, table.user_id, table.zoom_registrant_id, User.email, User.full_name)
        .outerjoin(User, false())
        .where(table.meeting_id == bindparam("meeting_id"), table.zoom_registrant_id.is_not(None))
    )


_class_id = bindparam("class_id", type_=Uuid())
_registrants_and_staff = union_all(
    _select_registrants(MeetingRegistrant),
    _select_registrants(FormerRegistrant),
    select(null(), User.id, null(), User.email, User.full_name).where(
        or_(
            User.id.in_(select(SchoolClass.teacher_id).where(SchoolClass.id == _class_id)),
            User.id.in_(select(co_teachers.c.user_id).where(co_teachers.c.class_id == _class_id)),
        )
    ),
)


def _load_registrants_and_staff(meeting: ZoomMeeting) -> tuple[dict[UUID, set[str]], dict[UUID, tuple[str, str]]]:
    """Load Zoom's registrant ids of each learner and teacher, with those of former registrations; and the class's
    staff with address and name."""
    ids: dict[UUID, set[str]] = {}
    people: dict[UUID, tuple[str, str]] = {}
    rows: Sequence[Any] = db.session.execute(
        _registrants_and_staff, {"meeting_id": meeting.id, "class_id": meeting.class_id}
    ).all()
    for row in rows:
        learner_id, user_id, registrant_id, email, name = row
        if email:
            people[user_id] = (email, name)
        else:
            ids.setdefault(learner_id or user_id, set()).add(registrant_id)
    return ids, people


def _build_manual_matches(
    decisions: Iterable[tuple[str, str | None, bool | None]], stay_of_row: Mapping[str, str]
) -> tuple[ManualMatch, ...]:
    learners: dict[str, set[str]] = {}
    values: dict[str, bool | None] = {}
    for row_id, learner_id, is_staff in decisions:
        stay_id = stay_of_row[row_id]
        learners.setdefault(stay_id, set())
        values[stay_id] = values.get(stay_id) or is_staff
        if learner_id:
            learners[stay_id].add(learner_id)
    return tuple(
        ManualMatch(
            stay_id,
            tuple(sorted(ids)),
            staff=not ids and values[stay_id] is True,
            nobody=not ids and values[stay_id] is False,
        )
        for stay_id, ids in sorted(learners.items())
    )


_aliases_of_learners = (
    select(
        ParticipantAlias.class_id,
        ParticipantAlias.folded_name,
        ParticipantAlias.created_at,
        ParticipantAlias.learner_id,
    )
    .where(
        or_(
            ParticipantAlias.class_id == _class_id,
            ParticipantAlias.learner_id.in_(bindparam("learners", expanding=True)),
        )
    )
    .order_by(ParticipantAlias.folded_name, ParticipantAlias.created_at, ParticipantAlias.learner_id)
)


def _load_aliases(
    meeting: ZoomMeeting, lines: Sequence[LearnerRecord]
) -> tuple[tuple[ConfirmedAlias, ...], tuple[ConfirmedAlias, ...]]:
    """Load the aliases of this class, and those of its learners in other classes."""
    if meeting.class_id is None:
        return (), ()
    rows = db.session.execute(
        _aliases_of_learners, {"class_id": meeting.class_id, "learners": [line.learner.learner_id for line in lines]}
    )
    # Learners matched to a name at the same moment are siblings on one device. A name that was matched to two learners
    # at different moments is the name of two children, and proves nothing.
    learners_by_alias: dict[tuple[bool, UUID, str, datetime], list[str]] = {}
    for class_id, name, made_at, learner_id in rows:
        learners_by_alias.setdefault((class_id == meeting.class_id, class_id, name, made_at), []).append(
            str(learner_id)
        )
    split: dict[bool, list[ConfirmedAlias]] = {True: [], False: []}
    for (is_here, _, name, _made_at), ids in learners_by_alias.items():
        split[is_here].append(ConfirmedAlias(name, tuple(ids)))
    return tuple(split[True]), tuple(split[False])

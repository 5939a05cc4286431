"""Computes the sheet of one class date as a pure function of its evidence: seconds, marks, unmatched participants.

`presence` computes the time of one person; here it becomes a mark, with flags that explain it.
Deterministic: order, repetition and batching of the evidence are irrelevant. Missing data never yields an absence.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.attendance.calculation.attended_time import InstanceTimes, Presence, StayReader
from portal.attendance.calculation.intervals import (
    Interval,
    total_seconds,
)
from portal.attendance.calculation.matching import (
    ConfirmedAlias,
    ManualMatch,
    RosterLearner,
    StaffMember,
    Stay,
    StayMatch,
    group_by_person,
    is_device_name,
    match_stays_to_people,
    sort_stays_stably,
)
from portal.attendance.calculation.suggestions import MatchSuggester, MatchSuggestion
from portal.attendance.codes import Mark, RecordFlag
from portal.classes.lis_names import fold_name

__all__ = [
    "ConfirmedAlias",
    "DataCompleteness",
    "InstanceTimes",
    "LearnerResult",
    "ManualMatch",
    "Mark",
    "MatchSuggestion",
    "RosterLearner",
    "SheetInput",
    "SheetResult",
    "StaffMember",
    "StaffPresence",
    "Stay",
    "StayMatch",
    "UnmatchedParticipant",
    "compute_sheet",
]


# Display order of the flags.
_FLAG_ORDER = (
    "early",
    "after",
    RecordFlag.CLOSED_BY_MEETING_END,
    RecordFlag.NO_JOIN_SEEN,
    RecordFlag.NO_LEAVE_SEEN,
    RecordFlag.TIMES_REVERSED,
    RecordFlag.NO_TIME,
    RecordFlag.WAITING_ROOM_ONLY,
    RecordFlag.WAITING_ROOM_UNCLEAR,
    RecordFlag.MINUTES_ONLY,
    RecordFlag.EMAIL_OF_ANOTHER,
    RecordFlag.DATA_INCOMPLETE,
    RecordFlag.MAY_BE_UNMATCHED,
    RecordFlag.GAP,
    RecordFlag.SHORT_MEETING,
)
_MATCH_KINDS = ("teacher", "host", "registration", "email", "alias")


@dataclass(frozen=True)
class DataCompleteness:
    """Completeness of the sheet's data.

    `is_over`: the class is past its end, and nobody counts as in the meeting. `is_complete`: start and end events were
    received without a gap in between, or a report was received. `has_delivery_gap`: an outage or backlog of the
    portal overlapped the class.
    """

    is_over: bool
    is_complete: bool
    has_delivery_gap: bool


@dataclass(frozen=True)
class SheetInput:
    """The complete input of a sheet. Times are aware.

    `threshold` is in seconds; with `grace_minutes` None, late and left early are not computed. `roster` is in the
    order of the sheet. `section` ("8-Jadeite") and the aliases `elsewhere` (of other classes of these learners) are
    used for suggestions only.
    """

    planned_start: datetime
    planned_end: datetime
    threshold: int
    grace_minutes: int | None
    instances: tuple[InstanceTimes, ...]
    stays: tuple[Stay, ...]
    roster: tuple[RosterLearner, ...]
    staff: tuple[StaffMember, ...]
    links: tuple[ManualMatch, ...]
    aliases: tuple[ConfirmedAlias, ...]
    knowledge: DataCompleteness
    now: datetime
    section: str = ""
    elsewhere: tuple[ConfirmedAlias, ...] = ()


@dataclass(frozen=True)
class LearnerResult:
    """A learner's result. `stay_count` counts joins to the meeting, without the waiting room.

    `first_join` and `last_leave` are None if unknown. `matched_by` holds "teacher", "registration", "email", "alias".
    `is_in_meeting`: at this moment. `maybe`: names of unmatched participants who may be this learner, if the learner
    was not seen.
    """

    learner_id: str
    seconds: int
    mark: Mark
    first_join: datetime | None
    last_leave: datetime | None
    stay_count: int
    matched_by: tuple[str, ...]
    flags: tuple[str, ...]
    is_late: bool = False
    left_early: bool = False
    is_in_meeting: bool = False
    maybe: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnmatchedParticipant:
    """One unmatched participant, over all instances.

    `key` identifies the participant within the sheet and may contain an address: not for URLs. `rememberable`: the
    name may become an alias. `may_be_staff`: ids of staff with exactly this name.
    """

    key: str
    names: tuple[str, ...]
    email: str | None
    stay_ids: tuple[str, ...]
    seconds: int
    first_join: datetime | None
    last_leave: datetime | None
    stay_count: int
    is_in_meeting: bool
    flags: tuple[str, ...]
    rememberable: bool
    suggestions: tuple[MatchSuggestion, ...]
    may_be_staff: tuple[str, ...]


@dataclass(frozen=True)
class StaffPresence:
    """A teacher, co-teacher or other host who attended; `user_id` is None for one not on the staff list."""

    user_id: str | None
    names: tuple[str, ...]
    seconds: int
    first_join: datetime | None
    last_leave: datetime | None
    stay_count: int
    is_in_meeting: bool
    matched_by: tuple[str, ...]


@dataclass(frozen=True)
class SheetResult:
    """The sheet: learners in roster order, staff and unmatched participants in the order of their first join.

    `flags`: `DATA_INCOMPLETE`, `GAP`, `SHORT_MEETING` (shorter than the threshold). `who`: the match of each stay.
    `meeting_seconds` is None until the start and end of every instance are known.
    """

    learners: tuple[LearnerResult, ...]
    unmatched: tuple[UnmatchedParticipant, ...]
    staff: tuple[StaffPresence, ...]
    who: Mapping[str, StayMatch]
    flags: tuple[str, ...]
    meeting_seconds: int | None


def compute_sheet(sheet: SheetInput) -> SheetResult:
    """Compute the sheet from its evidence.

    Raises ValueError for two different stays with one id, a learner twice on the roster, or a naive datetime.
    """
    if len({learner.learner_id for learner in sheet.roster}) < len(sheet.roster):
        raise ValueError("a learner is twice on the roster")
    stays = sort_stays_stably(sheet.stays)
    stay_matches = match_stays_to_people(
        stays, roster=sheet.roster, staff=sheet.staff, links=sheet.links, aliases=sheet.aliases
    )
    reader = StayReader(sheet.instances, stays, now=sheet.now, is_over=sheet.knowledge.is_over)
    stays_by_learner: dict[str, list[Stay]] = defaultdict(list)
    for stay in stays:
        for learner_id in stay_matches[stay.id].learner_ids:
            stays_by_learner[learner_id].append(stay)
    staff = _staff_presences(stays, stay_matches, reader)
    unmatched = _unmatched_participants(
        sheet, [stay for stay in stays if stay_matches[stay.id].kind == "unknown"], reader, stays_by_learner
    )
    punctuality = _Punctuality(sheet, staff)
    possible_names = _possible_names(unmatched)
    learners = tuple(
        _learner_result(
            sheet,
            learner.learner_id,
            stays_by_learner[learner.learner_id],
            stay_matches,
            reader,
            punctuality,
            possible_names,
        )
        for learner in sheet.roster
    )
    meeting_seconds = _meeting_seconds(sheet.instances)
    return SheetResult(learners, unmatched, staff, stay_matches, _sheet_flags(sheet, meeting_seconds), meeting_seconds)


class _Punctuality:
    """Late and left early, with the section's minutes of grace.

    Measured against the actual class: from the later of the planned start and the first teacher's join (or the first
    instance's start) to the earlier of the planned end and the last instance's end, so that a teacher who starts
    late or closes early makes nobody late or a leaver.
    """

    def __init__(self, sheet: SheetInput, staff: Sequence[StaffPresence]) -> None:
        self._grace = None if sheet.grace_minutes is None else timedelta(minutes=sheet.grace_minutes)
        self._knowledge = sheet.knowledge
        joins = [member.first_join for member in staff if member.first_join]
        starts = [instance.started_at for instance in sheet.instances if instance.started_at]
        ends = [instance.ended_at for instance in sheet.instances]
        known_ends = [end for end in ends if end is not None]
        self._begins = max(sheet.planned_start, min(joins or starts or [sheet.planned_start]))
        self._ends = sheet.planned_end
        if known_ends and len(known_ends) == len(ends):
            self._ends = min(sheet.planned_end, max(known_ends))

    def late(self, presence: Presence) -> bool:
        """Known to have come late: False if an earlier join may have been lost."""
        if self._grace is None or presence.first_join is None or self._knowledge.has_delivery_gap:
            return False
        return RecordFlag.NO_JOIN_SEEN not in presence.flags and presence.first_join > self._begins + self._grace

    def left_early(self, presence: Presence) -> bool:
        """Known to have left early: False before the data is complete."""
        if self._grace is None or presence.last_leave is None or presence.open:
            return False
        is_known = (
            self._knowledge.is_over and self._knowledge.is_complete and RecordFlag.NO_LEAVE_SEEN not in presence.flags
        )
        return is_known and presence.last_leave < self._ends - self._grace


def _learner_result(
    sheet: SheetInput,
    learner_id: str,
    stays: Sequence[Stay],
    stay_matches: Mapping[str, StayMatch],
    reader: StayReader,
    punctuality: _Punctuality,
    possible_names: Mapping[str, tuple[str, ...]],
) -> LearnerResult:
    presence = reader.presence(stays)
    mark, reasons = _mark_and_reasons(sheet, presence)
    matches = [stay_matches[stay.id] for stay in stays]
    flags = presence.flags | _time_flags(sheet, presence) | reasons
    flags |= {flag for match in matches for flag in match.flags}
    names = () if stays else possible_names.get(learner_id, ())
    if names:
        flags |= {RecordFlag.MAY_BE_UNMATCHED}
    return LearnerResult(
        learner_id=learner_id,
        seconds=presence.seconds,
        mark=mark,
        first_join=presence.first_join,
        last_leave=presence.last_leave,
        stay_count=presence.stays,
        matched_by=_matched_by(matches),
        flags=_sort_by(flags, _FLAG_ORDER),
        is_late=punctuality.late(presence),
        left_early=punctuality.left_early(presence),
        is_in_meeting=presence.open,
        maybe=names,
    )


def _mark_and_reasons(sheet: SheetInput, presence: Presence) -> tuple[Mark, frozenset[str]]:
    """The mark, and the flags that explain an undecided one.

    NEEDS_REVIEW wherever missing evidence could still change the mark.
    """
    if not sheet.knowledge.is_over:
        return Mark.PENDING, frozenset()
    if presence.seconds >= sheet.threshold:
        return Mark.PRESENT, frozenset()
    if not sheet.knowledge.is_complete:
        waiting_flags = {RecordFlag.WAITING_ROOM_ONLY} if presence.waits and not presence.stays else set()
        return Mark.NEEDS_REVIEW, frozenset({RecordFlag.DATA_INCOMPLETE} | waiting_flags)
    if presence.possible is None or presence.possible >= sheet.threshold:
        return Mark.NEEDS_REVIEW, frozenset()
    if presence.stays:
        return Mark.PARTIAL, frozenset()
    if presence.waits:
        return Mark.NEEDS_REVIEW, frozenset({RecordFlag.WAITING_ROOM_ONLY})
    return Mark.ABSENT, frozenset()


def _time_flags(sheet: SheetInput, presence: Presence) -> frozenset[str]:
    flags = set()
    if any(interval.start < sheet.planned_start for interval in presence.sure):
        flags.add("early")
    if any(interval.end > sheet.planned_end for interval in presence.sure):
        flags.add("after")
    if presence.stays and presence.seconds == 0 and not presence.open:
        flags.add(RecordFlag.NO_TIME)
    return frozenset(flags)


def _staff_presences(
    stays: Sequence[Stay], stay_matches: Mapping[str, StayMatch], reader: StayReader
) -> tuple[StaffPresence, ...]:
    stays_by_user: dict[str, list[Stay]] = defaultdict(list)
    unlisted_stays: list[Stay] = []
    for stay in stays:
        match = stay_matches[stay.id]
        if match.kind == "staff" and match.user_id:
            stays_by_user[match.user_id].append(stay)
        elif match.kind == "staff":
            unlisted_stays.append(stay)
    presences = [_staff_presence(user_id, members, stay_matches, reader) for user_id, members in stays_by_user.items()]
    presences += [
        _staff_presence(None, members, stay_matches, reader) for _, members in group_by_person(unlisted_stays)
    ]
    return tuple(
        sorted(presences, key=lambda member: (_time_sort_key(member.first_join), member.user_id or "", member.names))
    )


def _staff_presence(
    user_id: str | None, stays: Sequence[Stay], stay_matches: Mapping[str, StayMatch], reader: StayReader
) -> StaffPresence:
    presence = reader.presence(stays)
    return StaffPresence(
        user_id=user_id,
        names=_display_names(stays),
        seconds=presence.seconds,
        first_join=presence.first_join,
        last_leave=presence.last_leave,
        stay_count=presence.stays,
        is_in_meeting=presence.open,
        matched_by=_matched_by([stay_matches[stay.id] for stay in stays]),
    )


def _unmatched_participants(
    sheet: SheetInput, stays: Sequence[Stay], reader: StayReader, stays_by_learner: Mapping[str, Sequence[Stay]]
) -> tuple[UnmatchedParticipant, ...]:
    if not stays:
        return ()
    suggester = MatchSuggester(sheet.roster, section=sheet.section, aliases=sheet.aliases, elsewhere=sheet.elsewhere)
    seen_learners = frozenset(stays_by_learner)
    participants = [
        _unmatched_participant(sheet, key, members, reader, suggester.suggest(_display_names(members), seen_learners))
        for key, members in group_by_person(stays)
    ]
    return tuple(sorted(participants, key=lambda person: (_time_sort_key(person.first_join), person.key)))


def _unmatched_participant(
    sheet: SheetInput,
    key: str,
    stays: Sequence[Stay],
    reader: StayReader,
    suggestions: tuple[MatchSuggestion, ...],
) -> UnmatchedParticipant:
    presence = reader.presence(stays)
    names = _display_names(stays)
    waiting_flags = frozenset({RecordFlag.WAITING_ROOM_ONLY} if presence.waits and not presence.stays else ())
    flags = presence.flags | _time_flags(sheet, presence) | waiting_flags
    return UnmatchedParticipant(
        key=key,
        names=names,
        email=next((stay.email for stay in stays if stay.email), None),
        stay_ids=tuple(stay.id for stay in stays),
        seconds=presence.seconds,
        first_join=presence.first_join,
        last_leave=presence.last_leave,
        stay_count=presence.stays,
        is_in_meeting=presence.open,
        flags=_sort_by(flags, _FLAG_ORDER),
        rememberable=any(not is_device_name(name) for name in names),
        suggestions=suggestions,
        may_be_staff=_staff_with_name(sheet.staff, {fold_name(name) for name in names}),
    )


def _staff_with_name(staff: Iterable[StaffMember], folded_names: Collection[str]) -> tuple[str, ...]:
    """Ids of the staff with one of the folded names."""
    user_ids = {
        member.user_id
        for member in staff
        if any(fold_name(name) in folded_names for name in member.names if fold_name(name))
    }
    return tuple(sorted(user_ids))


def _possible_names(unmatched: Iterable[UnmatchedParticipant]) -> dict[str, tuple[str, ...]]:
    """For learners not seen: the names of unmatched participants who probably are these learners."""
    names: dict[str, list[str]] = defaultdict(list)
    for person in unmatched:
        for suggestion in person.suggestions:
            if person.stay_count and suggestion.strength != "weak" and not suggestion.seen:
                names[suggestion.learner_id].append(person.names[0])
    return {learner_id: tuple(dict.fromkeys(learner_names)) for learner_id, learner_names in names.items()}


def _meeting_seconds(instances: Iterable[InstanceTimes]) -> int | None:
    intervals: list[Interval] = []
    for instance in instances:
        if instance.started_at is None or instance.ended_at is None:
            return None
        intervals.append(Interval(instance.started_at, instance.ended_at))
    return total_seconds(intervals) if intervals else None


def _sheet_flags(sheet: SheetInput, meeting_seconds: int | None) -> tuple[str, ...]:
    flags = set()
    if sheet.knowledge.has_delivery_gap:
        flags.add(RecordFlag.GAP)
    if sheet.knowledge.is_over and not sheet.knowledge.is_complete:
        flags.add(RecordFlag.DATA_INCOMPLETE)
    if sheet.knowledge.is_over and meeting_seconds is not None and meeting_seconds < sheet.threshold:
        flags.add(RecordFlag.SHORT_MEETING)
    return _sort_by(flags, _FLAG_ORDER)


def _display_names(stays: Iterable[Stay]) -> tuple[str, ...]:
    """The displayed names in the order of first use; a blank one counts as a name."""
    return tuple(dict.fromkeys(stay.name for stay in stays))


def _matched_by(matches: Iterable[StayMatch]) -> tuple[str, ...]:
    return _sort_by({match.by for match in matches if match.by}, _MATCH_KINDS)


def _sort_by(values: Iterable[str], order: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(values, key=order.index))


def _time_sort_key(time: datetime | None) -> tuple[bool, float]:
    """Sort key: unknown times last."""
    return time is None, time.timestamp() if time else 0.0

"""The sheet of one class date as a pure function of its evidence: seconds, marks, and who is unaccounted for.

The same evidence gives the same sheet whatever the order, repeats or batching in which it came. What is not
known is never called absent.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.attendance.calculation.intervals import (
    Interval,
    subtract,
    total_seconds,
    union,
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


# Zoom stamps the two ends of a stay on different machines; a leave this little before its join, or a wait
# ending this little after it, is their clocks and not a riddle.
CLOCK_SLACK = timedelta(seconds=5)

# The order in which flags are reported.
_FLAGS = (
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
_WAYS = ("teacher", "host", "registration", "email", "alias")


@dataclass(frozen=True)
class InstanceTimes:
    """One running of the meeting; an end not known is None."""

    uuid: str
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class DataCompleteness:
    """What is known about the data of the sheet.

    `over`: the class is past its end, and nobody counts as still in. `complete`: start and end were
    received with no outage of ours between, or a report has answered. `gap`: an outage or backlog of ours
    fell into the class.
    """

    is_over: bool
    is_complete: bool
    has_delivery_gap: bool


@dataclass(frozen=True)
class SheetInput:
    """All that a sheet follows from. Times are aware.

    `threshold` is in seconds; `grace_minutes` None means that late and left early are not asked for.
    `roster` comes in the order of the sheet. `section` ("8-Jadeite") and the names remembered `elsewhere`
    (in other classes of these learners) serve the suggestions only.
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
    """A learner's line. `stays` counts joins to the meeting, the waiting room aside.

    `first_join` and `last_leave` are None when not known. `matched_by` holds "teacher", "registration",
    "email", "alias". `open`: in the meeting at this moment. `maybe`: names of unmatched participants who may
    be this learner, if the learner was not seen.
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
    """One participant, over all instances, who could not be tied to anybody.

    `key` tells the participants of one sheet apart and may hold an address: not for URLs. `rememberable`:
    the name may become an alias. `may_be_staff`: ids of staff who bear exactly this name.
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
    """A teacher, co-teacher or other host who was in; `user_id` None for one not on the staff list."""

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
    """The sheet: learners in roster order, staff and unmatched in the order in which they came.

    `flags`: "data incomplete", "gap", "short meeting" (it lasted less than the threshold).
    `meeting_seconds` is None until every instance's start and end are known.
    """

    learners: tuple[LearnerResult, ...]
    unmatched: tuple[UnmatchedParticipant, ...]
    staff: tuple[StaffPresence, ...]
    who: Mapping[str, StayMatch]
    flags: tuple[str, ...]
    meeting_seconds: int | None


def compute_sheet(sheet: SheetInput) -> SheetResult:
    """The sheet as its evidence says.

    Raises ValueError for two different stays of one id, a learner twice on the roster, or a naive datetime.
    """
    if len({line.learner_id for line in sheet.roster}) < len(sheet.roster):
        raise ValueError("a learner is twice on the roster")
    stays = sort_stays_stably(sheet.stays)
    who = match_stays_to_people(stays, roster=sheet.roster, staff=sheet.staff, links=sheet.links, aliases=sheet.aliases)
    reading = _StayReader(sheet, stays)
    by_learner: dict[str, list[Stay]] = defaultdict(list)
    for stay in stays:
        for learner_id in who[stay.id].learner_ids:
            by_learner[learner_id].append(stay)
    staff = _staff(stays, who, reading)
    unmatched = _unmatched(sheet, [stay for stay in stays if who[stay.id].kind == "unknown"], reading, by_learner)
    punctuality = _Punctuality(sheet, staff)
    maybe = _maybe(unmatched)
    learners = tuple(
        _line(sheet, line.learner_id, by_learner[line.learner_id], who, reading, punctuality, maybe)
        for line in sheet.roster
    )
    length = _meeting_seconds(sheet.instances)
    return SheetResult(learners, unmatched, staff, who, _sheet_flags(sheet, length), length)


@dataclass(frozen=True)
class _Presence:
    """What stays prove: `sure` time, and `possible` time in seconds at most (None: no telling)."""

    sure: tuple[Interval, ...]
    possible: int | None
    first_join: datetime | None
    last_leave: datetime | None
    stays: int
    waits: int
    open: bool
    flags: frozenset[str]
    lasted: int = 0  # the longest stay of which only the length is known

    @property
    def seconds(self) -> int:
        return max(total_seconds(self.sure), self.lasted)


@dataclass(frozen=True)
class _StayInterval:
    """One stay in the meeting, read: `possible` None means that it may have lasted any time."""

    sure: tuple[Interval, ...]
    possible: tuple[Interval, ...] | None
    open: bool = False
    flags: frozenset[str] = frozenset()


class _StayReader:
    """Reads stays in the light of their instances and of the waiting room."""

    def __init__(self, sheet: SheetInput, stays: Sequence[Stay]) -> None:
        self._now = sheet.now
        self._over = sheet.knowledge.is_over
        self._instances = {instance.uuid: instance for instance in sheet.instances}
        starts = [instance.started_at for instance in sheet.instances if instance.started_at]
        self._last_start = max(starts, default=None)
        self._waits: dict[tuple[str, str], list[Stay]] = defaultdict(list)
        for stay in stays:
            if stay.room == "waiting":
                self._waits[stay.instance, stay.session].append(stay)

    def presence(self, stays: Sequence[Stay]) -> _Presence:
        """What these stays of one person prove together."""
        meeting = [stay for stay in stays if stay.room == "meeting"]
        lengths = [stay.lasted for stay in meeting if stay.lasted is not None]
        timed = [stay for stay in meeting if stay.lasted is None]
        stretches = [self._stretch(stay) for stay in timed]
        bounds = [stretch.possible for stretch in stretches if stretch.possible is not None]
        unbounded = len(bounds) < len(stretches)
        return _Presence(
            sure=union(interval for stretch in stretches for interval in stretch.sure),
            # Lengths without times may overlap each other and the rest, or not.
            possible=None if unbounded else max(total_seconds(one for bound in bounds for one in bound), sum(lengths)),
            first_join=_first_join(timed),
            last_leave=self._last_leave(timed, is_open=any(stretch.open for stretch in stretches)),
            stays=sum(not stay.breakout for stay in meeting) or len(meeting),
            waits=len(stays) - len(meeting),
            open=any(stretch.open for stretch in stretches),
            flags=frozenset(flag for stretch in stretches for flag in stretch.flags)
            | ({RecordFlag.MINUTES_ONLY} if lengths else set()),
            lasted=max(lengths, default=0),
        )

    def _stretch(self, stay: Stay) -> _StayInterval:
        left, flags = self._left(stay)
        if stay.joined_at is None:
            return self._without_join(stay, left, flags)
        if stay.left_before is not None:
            return _StayInterval(
                (), union([Interval(stay.joined_at, stay.left_before)]), flags=flags | {RecordFlag.NO_LEAVE_SEEN}
            )
        if left is None and self._is_running(stay.instance):
            left = max(self._now, stay.joined_at)
            return self._less_waiting(stay, Interval(stay.joined_at, left), _StayInterval((), (), True, flags))
        if left is None:
            return _StayInterval((), None, flags=flags | {RecordFlag.NO_LEAVE_SEEN})
        if left < stay.joined_at:
            riddle = stay.joined_at - left > CLOCK_SLACK
            return _StayInterval((), None if riddle else (), flags=flags | {RecordFlag.TIMES_REVERSED})
        return self._less_waiting(stay, Interval(stay.joined_at, left), _StayInterval((), (), False, flags))

    def _left(self, stay: Stay) -> tuple[datetime | None, frozenset[str]]:
        if stay.left_at is not None:
            by_end = stay.leave_source == "ended"
            return stay.left_at, frozenset({RecordFlag.CLOSED_BY_MEETING_END} if by_end else ())
        instance = self._instances.get(stay.instance)
        if instance is None or instance.ended_at is None or stay.left_before is not None:
            return None, frozenset()
        return instance.ended_at, frozenset({RecordFlag.CLOSED_BY_MEETING_END})

    def _without_join(self, stay: Stay, left: datetime | None, flags: frozenset[str]) -> _StayInterval:
        """Nothing is sure, but nobody was in before the instance started."""
        instance = self._instances.get(stay.instance)
        flags |= {RecordFlag.NO_JOIN_SEEN}
        starts = [moment for moment in (stay.joined_after, instance and instance.started_at) if moment]
        if left is None or not starts:
            return _StayInterval((), None, flags=flags)
        whole = Interval(max(starts), left)
        waited = [
            Interval(wait.joined_at, wait.left_at)
            for wait in self._waits[stay.instance, stay.session]
            if wait.joined_at and wait.left_at
        ]
        return _StayInterval((), subtract([whole], waited), flags=flags)

    def _is_running(self, uuid: str) -> bool:
        """Has it no end, and no later instance? A meeting runs once at a time."""
        if self._over:
            return False
        instance = self._instances.get(uuid)
        started = instance.started_at if instance else None
        return started is None or self._last_start is None or started >= self._last_start

    def _less_waiting(self, stay: Stay, whole: Interval, stretch: _StayInterval) -> _StayInterval:
        """Takes out the time in which the same device had been sent back to the waiting room.

        Of a wait with one end unknown, as much as it can have been is taken out; it stays possible.
        """
        certain: list[Interval] = []
        unclear: list[Interval] = []
        is_open = stretch.open
        for wait in self._waits[stay.instance, stay.session]:
            if wait.joined_at is not None and wait.left_at is not None:
                certain.append(Interval(wait.joined_at, wait.left_at))
            elif wait.joined_at is not None and whole.start < wait.joined_at < whole.end:
                until = min(whole.end, wait.left_before or whole.end)
                (certain if is_open and wait.left_before is None else unclear).append(Interval(wait.joined_at, until))
                is_open = is_open and wait.left_before is not None
            elif wait.left_at is not None and whole.start + CLOCK_SLACK < wait.left_at <= whole.end:
                unclear.append(Interval(max(whole.start, wait.joined_after or whole.start), wait.left_at))
        return _StayInterval(
            sure=subtract([whole], certain + unclear),
            possible=subtract([whole], certain),
            open=is_open,
            flags=stretch.flags | ({RecordFlag.WAITING_ROOM_UNCLEAR} if unclear else set()),
        )

    def _last_leave(self, meeting: Sequence[Stay], *, is_open: bool) -> datetime | None:
        """The last leave known, if nothing says that the person was in after it."""
        leaves = [left for stay in meeting if (left := self._left(stay)[0]) is not None]
        last = max(leaves, default=None)
        unended = [stay.joined_at for stay in meeting if self._left(stay)[0] is None]
        if is_open or last is None or any(joined is None or joined >= last for joined in unended):
            return None
        return last


def _first_join(meeting: Sequence[Stay]) -> datetime | None:
    """The first join known, if no leave without a join says that there was an earlier one."""
    first = min((stay.joined_at for stay in meeting if stay.joined_at), default=None)
    unbegun = [stay.left_at for stay in meeting if stay.joined_at is None]
    if first is None or any(left is None or left <= first for left in unbegun):
        return None
    return first


class _Punctuality:
    """Late and left early, with the section's minutes of grace.

    A teacher who came late or closed early makes nobody late or a leaver: the class ran from the later of
    the plan and the first teacher's join (or the first instance's start) to the earlier of the plan and the
    last end.
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

    def late(self, presence: _Presence) -> bool:
        """Known to have come late: not claimed if an earlier join may have been lost."""
        if self._grace is None or presence.first_join is None or self._knowledge.has_delivery_gap:
            return False
        return RecordFlag.NO_JOIN_SEEN not in presence.flags and presence.first_join > self._begins + self._grace

    def left_early(self, presence: _Presence) -> bool:
        """Known to have left for good: not claimed before the data is complete."""
        if self._grace is None or presence.last_leave is None or presence.open:
            return False
        known = (
            self._knowledge.is_over and self._knowledge.is_complete and RecordFlag.NO_LEAVE_SEEN not in presence.flags
        )
        return known and presence.last_leave < self._ends - self._grace


def _line(
    sheet: SheetInput,
    learner_id: str,
    stays: Sequence[Stay],
    who: Mapping[str, StayMatch],
    reading: _StayReader,
    punctuality: _Punctuality,
    maybe: Mapping[str, tuple[str, ...]],
) -> LearnerResult:
    presence = reading.presence(stays)
    mark, reasons = _mark(sheet, presence)
    matches = [who[stay.id] for stay in stays]
    flags = presence.flags | _time_flags(sheet, presence) | reasons
    flags |= {flag for match in matches for flag in match.flags}
    names = () if stays else maybe.get(learner_id, ())
    if names:
        flags |= {RecordFlag.MAY_BE_UNMATCHED}
    return LearnerResult(
        learner_id=learner_id,
        seconds=presence.seconds,
        mark=mark,
        first_join=presence.first_join,
        last_leave=presence.last_leave,
        stay_count=presence.stays,
        matched_by=_ways(matches),
        flags=_in_order(flags, _FLAGS),
        is_late=punctuality.late(presence),
        left_early=punctuality.left_early(presence),
        is_in_meeting=presence.open,
        maybe=names,
    )


def _mark(sheet: SheetInput, presence: _Presence) -> tuple[Mark, frozenset[str]]:
    """The mark, and the flags that say why it is not known.

    Needs review wherever evidence that is missing could still change the answer.
    """
    if not sheet.knowledge.is_over:
        return Mark.PENDING, frozenset()
    if presence.seconds >= sheet.threshold:
        return Mark.PRESENT, frozenset()
    if not sheet.knowledge.is_complete:
        waited = {RecordFlag.WAITING_ROOM_ONLY} if presence.waits and not presence.stays else set()
        return Mark.NEEDS_REVIEW, frozenset({RecordFlag.DATA_INCOMPLETE} | waited)
    if presence.possible is None or presence.possible >= sheet.threshold:
        return Mark.NEEDS_REVIEW, frozenset()
    if presence.stays:
        return Mark.PARTIAL, frozenset()
    if presence.waits:
        return Mark.NEEDS_REVIEW, frozenset({RecordFlag.WAITING_ROOM_ONLY})
    return Mark.ABSENT, frozenset()


def _time_flags(sheet: SheetInput, presence: _Presence) -> frozenset[str]:
    flags = set()
    if any(interval.start < sheet.planned_start for interval in presence.sure):
        flags.add("early")
    if any(interval.end > sheet.planned_end for interval in presence.sure):
        flags.add("after")
    if presence.stays and presence.seconds == 0 and not presence.open:
        flags.add(RecordFlag.NO_TIME)
    return frozenset(flags)


def _staff(stays: Sequence[Stay], who: Mapping[str, StayMatch], reading: _StayReader) -> tuple[StaffPresence, ...]:
    stayses: dict[str, list[Stay]] = defaultdict(list)
    others: list[Stay] = []
    for stay in stays:
        match = who[stay.id]
        if match.kind == "staff" and match.user_id:
            stayses[match.user_id].append(stay)
        elif match.kind == "staff":
            others.append(stay)
    presences = [_staff_seen(user_id, members, who, reading) for user_id, members in stayses.items()]
    presences += [_staff_seen(None, members, who, reading) for _, members in group_by_person(others)]
    return tuple(sorted(presences, key=lambda member: (_moment(member.first_join), member.user_id or "", member.names)))


def _staff_seen(
    user_id: str | None, stays: Sequence[Stay], who: Mapping[str, StayMatch], reading: _StayReader
) -> StaffPresence:
    presence = reading.presence(stays)
    return StaffPresence(
        user_id=user_id,
        names=_names(stays),
        seconds=presence.seconds,
        first_join=presence.first_join,
        last_leave=presence.last_leave,
        stay_count=presence.stays,
        is_in_meeting=presence.open,
        matched_by=_ways([who[stay.id] for stay in stays]),
    )


def _unmatched(
    sheet: SheetInput, stays: Sequence[Stay], reading: _StayReader, by_learner: Mapping[str, Sequence[Stay]]
) -> tuple[UnmatchedParticipant, ...]:
    if not stays:
        return ()
    suggester = MatchSuggester(sheet.roster, section=sheet.section, aliases=sheet.aliases, elsewhere=sheet.elsewhere)
    seen = frozenset(by_learner)
    participants = [
        _stranger(sheet, key, members, reading, suggester.suggest(_names(members), seen))
        for key, members in group_by_person(stays)
    ]
    return tuple(sorted(participants, key=lambda person: (_moment(person.first_join), person.key)))


def _stranger(
    sheet: SheetInput,
    key: str,
    stays: Sequence[Stay],
    reading: _StayReader,
    suggestions: tuple[MatchSuggestion, ...],
) -> UnmatchedParticipant:
    presence = reading.presence(stays)
    names = _names(stays)
    waited_only = frozenset({RecordFlag.WAITING_ROOM_ONLY} if presence.waits and not presence.stays else ())
    flags = presence.flags | _time_flags(sheet, presence) | waited_only
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
        flags=_in_order(flags, _FLAGS),
        rememberable=any(not is_device_name(name) for name in names),
        suggestions=suggestions,
        may_be_staff=_namesakes(sheet.staff, {fold_name(name) for name in names}),
    )


def _namesakes(staff: Iterable[StaffMember], folded: Collection[str]) -> tuple[str, ...]:
    """Ids of the staff one of whose names is among the folded ones."""
    found = {
        member.user_id for member in staff if any(fold_name(name) in folded for name in member.names if fold_name(name))
    }
    return tuple(sorted(found))


def _maybe(unmatched: Iterable[UnmatchedParticipant]) -> dict[str, tuple[str, ...]]:
    """For learners not seen: the names of unmatched participants of the meeting who may well be they."""
    names: dict[str, list[str]] = defaultdict(list)
    for person in unmatched:
        for suggestion in person.suggestions:
            if person.stay_count and suggestion.strength != "weak" and not suggestion.seen:
                names[suggestion.learner_id].append(person.names[0])
    return {learner_id: tuple(dict.fromkeys(shown)) for learner_id, shown in names.items()}


def _meeting_seconds(instances: Iterable[InstanceTimes]) -> int | None:
    runs: list[Interval] = []
    for instance in instances:
        if instance.started_at is None or instance.ended_at is None:
            return None
        runs.append(Interval(instance.started_at, instance.ended_at))
    return total_seconds(runs) if runs else None


def _sheet_flags(sheet: SheetInput, length: int | None) -> tuple[str, ...]:
    flags = set()
    if sheet.knowledge.has_delivery_gap:
        flags.add(RecordFlag.GAP)
    if sheet.knowledge.is_over and not sheet.knowledge.is_complete:
        flags.add(RecordFlag.DATA_INCOMPLETE)
    if sheet.knowledge.is_over and length is not None and length < sheet.threshold:
        flags.add(RecordFlag.SHORT_MEETING)
    return _in_order(flags, _FLAGS)


def _names(stays: Iterable[Stay]) -> tuple[str, ...]:
    """The displayed names in the order first used; a blank one shows nothing to recognise but is a name."""
    return tuple(dict.fromkeys(stay.name for stay in stays))


def _ways(matches: Iterable[StayMatch]) -> tuple[str, ...]:
    return _in_order({match.by for match in matches if match.by}, _WAYS)


def _in_order(found: Iterable[str], order: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(found, key=order.index))


def _moment(moment: datetime | None) -> tuple[bool, float]:
    """Sorts what has no time last."""
    return moment is None, moment.timestamp() if moment else 0.0

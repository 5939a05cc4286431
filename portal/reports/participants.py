"""Who was invited to one meeting date, who came, and when: everybody with their stays, with a class or without."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from portal.attendance import staff_meetings
from portal.attendance.calculation.intervals import Interval, total_seconds, union
from portal.attendance.calculation.marks import SheetResult, compute_sheet
from portal.attendance.calculation.matching import Stay
from portal.attendance.sheet.compute import SheetEvidence, load_sheet_evidence
from portal.meetings.models import MeetingOccurrence


@dataclass(frozen=True)
class StayView:
    """One stay for the page. An end that is not known is None; `lasted` is in seconds where only that is known."""

    joined_at: datetime | None
    left_at: datetime | None
    lasted: int | None
    waiting_room: bool
    open: bool  # in the room at this moment


@dataclass(frozen=True)
class ParticipantView:
    """Somebody invited, or (`invited` False) a guest or staff. `mark` is the sheet's, for learners of a class."""

    name: str
    shown_as: tuple[str, ...]  # the names displayed in the meeting, where they are others
    invited: bool
    staff: bool
    mark: str | None
    by_hand: bool
    seconds: int
    stays: tuple[StayView, ...]

    @property
    def joined(self) -> bool:
        """In the meeting itself; whoever only waited outside was not."""
        return any(not stay.waiting_room for stay in self.stays)


@dataclass(frozen=True)
class InvitedPerson:
    """Somebody who was asked to come, and their time in the meeting in seconds."""

    key: str
    name: str
    seconds: int
    stays: tuple[Stay, ...]
    mark: str | None = None
    by_hand: bool = False


@dataclass(frozen=True)
class OccurrenceParticipants:
    people: tuple[ParticipantView, ...]
    meeting_seconds: int | None

    def of(self, *, invited: bool, staff: bool = False) -> list[ParticipantView]:
        return [one for one in self.people if one.invited == invited and one.staff == staff]

    @property
    def invited(self) -> int:
        return sum(one.invited for one in self.people)

    @property
    def joined(self) -> int:
        return sum(one.invited and one.joined for one in self.people)

    @property
    def rate(self) -> float | None:
        return self.joined / self.invited if self.invited else None

    @property
    def total_seconds(self) -> int:
        """Of those invited, together."""
        return sum(one.seconds for one in self.people if one.invited)

    @property
    def average_seconds(self) -> int:
        """Over those invited who came."""
        return round(self.total_seconds / self.joined) if self.joined else 0


def load_occurrence_participants(occurrence: MeetingOccurrence) -> OccurrenceParticipants:
    """Everybody of one date, with its meeting loaded."""
    if occurrence.meeting.class_id:
        loaded = load_sheet_evidence(occurrence, occurrence.meeting)
        result = compute_sheet(loaded.input)
        invitees = _roster(loaded, result)
    else:
        gathered = staff_meetings.load_invitee_evidence(occurrence)
        loaded, result = gathered.loaded, gathered.result
        invitees = _invited(gathered)
    stays = {stay.id: stay for stay in loaded.input.stays}
    last = _latest(loaded)
    open_now = not loaded.input.knowledge.is_over
    people: list[ParticipantView] = []
    taken: set[str] = set()
    for invitee in invitees:
        taken |= {stay.id for stay in invitee.stays}
        people.append(
            _person(invitee.name, invitee.stays, invitee.seconds, last if open_now else None, invitee.mark, invitee)
        )
    for presence in result.staff:
        who = [
            stay
            for stay in stays.values()
            if stay.id not in taken
            and result.who[stay.id].kind == "staff"
            and (result.who[stay.id].user_id or "") == (presence.user_id or "")
            and (presence.user_id or stay.name in presence.names)
        ]
        if who:
            taken |= {stay.id for stay in who}
            people.append(
                _person(
                    ", ".join(presence.names), who, presence.seconds, last if open_now else None, None, None, staff=True
                )
            )
    for guest in result.unmatched:
        who = [stays[stay_id] for stay_id in guest.stay_ids if stay_id not in taken]
        if who:
            people.append(_person(", ".join(guest.names), who, _seconds(who, last), last if open_now else None))
    nobody = [stay for stay in stays.values() if stay.id not in taken and result.who[stay.id].kind == "nobody"]
    for name in sorted({stay.name for stay in nobody}):
        who = [stay for stay in nobody if stay.name == name]
        people.append(_person(name, who, _seconds(who, last), last if open_now else None))
    return OccurrenceParticipants(tuple(people), result.meeting_seconds)


def _roster(loaded: SheetEvidence, result: SheetResult) -> Iterable[InvitedPerson]:
    """The learners of a class, in LIS order, with the sheet's marks."""
    computed = {line.learner_id: line for line in result.learners}
    for line in loaded.lines:
        key = str(line.learner.learner_id)
        yield InvitedPerson(
            key=key,
            name=line.learner.lis_name,
            seconds=computed[key].seconds,
            stays=tuple(stay for stay in loaded.input.stays if key in result.who[stay.id].learner_ids),
            mark=line.final_mark or line.override_mark or computed[key].mark,
            by_hand=line.override_mark is not None,
        )


def _invited(gathered: staff_meetings.InviteeEvidence) -> Iterable[InvitedPerson]:
    """Those who were invited to a meeting without a class, as its own page has them."""
    who = gathered.result.who
    for presence in gathered.people:
        key = str(presence.user_id)
        stays = tuple(stay for stay in gathered.loaded.input.stays if who[stay.id].user_id == key)
        yield InvitedPerson(key=key, name=presence.name, seconds=presence.seconds, stays=stays)


def _latest(loaded: SheetEvidence) -> datetime:
    """Until when a stay without an end has lasted at most: now, or the end of the last running."""
    ends = [instance.ended_at for instance in loaded.input.instances]
    moments = [end for end in ends if end is not None]
    return max(moments) if moments and len(moments) == len(ends) else loaded.input.now


def _seconds(stays: Iterable[Stay], last: datetime) -> int:
    """Time in the meeting, devices at the same time counted once."""
    meeting = [stay for stay in stays if stay.room == "meeting"]
    timed = [
        Interval(stay.joined_at, max(stay.joined_at, stay.left_at or stay.left_before or last))
        for stay in meeting
        if stay.joined_at
    ]
    return max(total_seconds(union(timed)), *(stay.lasted or 0 for stay in meeting), 0)


def _person(
    name: str,
    stays: Iterable[Stay],
    lasting: int,
    now: datetime | None,
    mark: str | None = None,
    invitee: InvitedPerson | None = None,
    *,
    staff: bool = False,
) -> ParticipantView:
    """`now` is None once the class is over, when nobody is in any more."""
    in_turn = sorted(stays, key=lambda stay: stay.joined_at or stay.left_at or datetime.max.replace(tzinfo=UTC))
    shown_as = tuple(dict.fromkeys(stay.name for stay in in_turn if stay.name and stay.name not in name))
    return ParticipantView(
        name=name,
        shown_as=shown_as if invitee else (),
        invited=invitee is not None,
        staff=staff,
        mark=mark,
        by_hand=bool(invitee and invitee.by_hand),
        seconds=lasting,
        stays=tuple(_shown(stay, now) for stay in in_turn if not stay.breakout),
    )


def _shown(stay: Stay, now: datetime | None) -> StayView:
    left = stay.left_at or stay.left_before
    return StayView(
        joined_at=stay.joined_at,
        left_at=left,
        lasted=stay.lasted,
        waiting_room=stay.room == "waiting",
        open=now is not None and left is None and stay.lasted is None and stay.joined_at is not None,
    )

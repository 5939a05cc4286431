"""Participants of one meeting date: invitees and others, with their stays; with or without a class."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from portal.attendance import staff_meetings
from portal.attendance.calculation.intervals import Interval, total_seconds, union
from portal.attendance.calculation.marks import SheetResult, compute_sheet
from portal.attendance.calculation.matching import Stay
from portal.attendance.sheet.evidence_loader import SheetEvidence, load_sheet_evidence
from portal.meetings.models import MeetingOccurrence


@dataclass(frozen=True)
class StayView:
    """One stay for the page. An unknown join or leave is None; `lasted` is in seconds, if only that is known."""

    joined_at: datetime | None
    left_at: datetime | None
    lasted: int | None
    waiting_room: bool
    open: bool  # in the meeting now


@dataclass(frozen=True)
class ParticipantView:
    """An invitee, or (`invited` False) a guest or staff member. `mark` is the sheet's, for learners of a class."""

    name: str
    shown_as: tuple[str, ...]  # the displayed names, if different
    invited: bool
    staff: bool
    mark: str | None
    by_hand: bool
    seconds: int
    stays: tuple[StayView, ...]

    @property
    def joined(self) -> bool:
        """In the meeting itself, not only in the waiting room."""
        return any(not stay.waiting_room for stay in self.stays)


@dataclass(frozen=True)
class InvitedPerson:
    """An invitee, with their time in the meeting in seconds."""

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
        """Total of the invitees."""
        return sum(one.seconds for one in self.people if one.invited)

    @property
    def average_seconds(self) -> int:
        """Mean over the invitees who joined."""
        return round(self.total_seconds / self.joined) if self.joined else 0


def load_occurrence_participants(occurrence: MeetingOccurrence) -> OccurrenceParticipants:
    """All participants of one date (loaded with its meeting)."""
    if occurrence.meeting.class_id:
        evidence = load_sheet_evidence(occurrence, occurrence.meeting)
        result = compute_sheet(evidence.input)
        invitees = _class_invitees(evidence, result)
    else:
        invitee_evidence = staff_meetings.load_invitee_evidence(occurrence)
        evidence, result = invitee_evidence.loaded, invitee_evidence.result
        invitees = _staff_invitees(invitee_evidence)
    stays = {stay.id: stay for stay in evidence.input.stays}
    latest_end = _latest_end(evidence)
    is_live = not evidence.input.knowledge.is_over
    people: list[ParticipantView] = []
    assigned_ids: set[str] = set()
    for invitee in invitees:
        assigned_ids |= {stay.id for stay in invitee.stays}
        people.append(
            _participant_view(
                invitee.name, invitee.stays, invitee.seconds, latest_end if is_live else None, invitee.mark, invitee
            )
        )
    for presence in result.staff:
        person_stays = [
            stay
            for stay in stays.values()
            if stay.id not in assigned_ids
            and result.who[stay.id].kind == "staff"
            and (result.who[stay.id].user_id or "") == (presence.user_id or "")
            and (presence.user_id or stay.name in presence.names)
        ]
        if person_stays:
            assigned_ids |= {stay.id for stay in person_stays}
            people.append(
                _participant_view(
                    ", ".join(presence.names),
                    person_stays,
                    presence.seconds,
                    latest_end if is_live else None,
                    None,
                    None,
                    staff=True,
                )
            )
    for guest in result.unmatched:
        person_stays = [stays[stay_id] for stay_id in guest.stay_ids if stay_id not in assigned_ids]
        if person_stays:
            people.append(
                _participant_view(
                    ", ".join(guest.names),
                    person_stays,
                    _seconds_in_meeting(person_stays, latest_end),
                    latest_end if is_live else None,
                )
            )
    nobody = [stay for stay in stays.values() if stay.id not in assigned_ids and result.who[stay.id].kind == "nobody"]
    for name in sorted({stay.name for stay in nobody}):
        person_stays = [stay for stay in nobody if stay.name == name]
        people.append(
            _participant_view(
                name, person_stays, _seconds_in_meeting(person_stays, latest_end), latest_end if is_live else None
            )
        )
    return OccurrenceParticipants(tuple(people), result.meeting_seconds)


def _class_invitees(evidence: SheetEvidence, result: SheetResult) -> Iterable[InvitedPerson]:
    """The learners of a class, in LIS order, with the sheet's marks."""
    computed = {record.learner_id: record for record in result.learners}
    for record in evidence.lines:
        key = str(record.learner.learner_id)
        yield InvitedPerson(
            key=key,
            name=record.learner.lis_name,
            seconds=computed[key].seconds,
            stays=tuple(stay for stay in evidence.input.stays if key in result.who[stay.id].learner_ids),
            mark=record.final_mark or record.override_mark or computed[key].mark,
            by_hand=record.override_mark is not None,
        )


def _staff_invitees(invitee_evidence: staff_meetings.InviteeEvidence) -> Iterable[InvitedPerson]:
    """The invitees of a meeting without a class."""
    matches = invitee_evidence.result.who
    for presence in invitee_evidence.people:
        key = str(presence.user_id)
        stays = tuple(stay for stay in invitee_evidence.loaded.input.stays if matches[stay.id].user_id == key)
        yield InvitedPerson(key=key, name=presence.name, seconds=presence.seconds, stays=stays)


def _latest_end(evidence: SheetEvidence) -> datetime:
    """Upper bound for a stay without an end: now, or the end of the last instance."""
    ends = [instance.ended_at for instance in evidence.input.instances]
    known_ends = [end for end in ends if end is not None]
    return max(known_ends) if known_ends and len(known_ends) == len(ends) else evidence.input.now


def _seconds_in_meeting(stays: Iterable[Stay], latest_end: datetime) -> int:
    """Seconds in the meeting, overlapping devices counted once."""
    meeting_stays = [stay for stay in stays if stay.room == "meeting"]
    intervals = [
        Interval(stay.joined_at, max(stay.joined_at, stay.left_at or stay.left_before or latest_end))
        for stay in meeting_stays
        if stay.joined_at
    ]
    return max(total_seconds(union(intervals)), *(stay.lasted or 0 for stay in meeting_stays), 0)


def _participant_view(
    name: str,
    stays: Iterable[Stay],
    seconds: int,
    now: datetime | None,
    mark: str | None = None,
    invitee: InvitedPerson | None = None,
    *,
    staff: bool = False,
) -> ParticipantView:
    """`now` is None after the class, when nobody is in the meeting any more."""
    sorted_stays = sorted(stays, key=lambda stay: stay.joined_at or stay.left_at or datetime.max.replace(tzinfo=UTC))
    shown_as = tuple(dict.fromkeys(stay.name for stay in sorted_stays if stay.name and stay.name not in name))
    return ParticipantView(
        name=name,
        shown_as=shown_as if invitee else (),
        invited=invitee is not None,
        staff=staff,
        mark=mark,
        by_hand=bool(invitee and invitee.by_hand),
        seconds=seconds,
        stays=tuple(_stay_view(stay, now) for stay in sorted_stays if not stay.breakout),
    )


def _stay_view(stay: Stay, now: datetime | None) -> StayView:
    left_at = stay.left_at or stay.left_before
    return StayView(
        joined_at=stay.joined_at,
        left_at=left_at,
        lasted=stay.lasted,
        waiting_room=stay.room == "waiting",
        open=now is not None and left_at is None and stay.lasted is None and stay.joined_at is not None,
    )

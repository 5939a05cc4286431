"""Computes the presence of one person from their stays: intervals in the meeting, bounds where times are unknown."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.attendance.calculation.intervals import Interval, subtract, total_seconds, union
from portal.attendance.calculation.matching import Stay
from portal.attendance.codes import RecordFlag

# Zoom's clocks differ: a leave this little before its join, or a wait ending this little after it, is clock skew
# and no contradiction.
CLOCK_SLACK = timedelta(seconds=5)


@dataclass(frozen=True)
class InstanceTimes:
    """One instance of the meeting; an unknown end is None."""

    uuid: str
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class Presence:
    """The time of one person in the meeting that stays prove.

    `sure`: the certain intervals. `possible`: an upper bound in seconds, None if unbounded. `first_join`, `last_leave`:
    None if unknown. `stays` and `waits` count joins of the meeting and of its waiting room. `open`: in the meeting now.
    """

    sure: tuple[Interval, ...]
    possible: int | None
    first_join: datetime | None
    last_leave: datetime | None
    stays: int
    waits: int
    open: bool
    flags: frozenset[str]
    lasted: int = 0  # the longest of the stays whose times are unknown

    @property
    def seconds(self) -> int:
        return max(total_seconds(self.sure), self.lasted)


@dataclass(frozen=True)
class _StayInterval:
    """One stay in the meeting as intervals: `possible` None means that its length is unbounded."""

    sure: tuple[Interval, ...]
    possible: tuple[Interval, ...] | None
    open: bool = False
    flags: frozenset[str] = frozenset()


class StayReader:
    """Computes presences from stays: missing leaves are completed with the end of the instance, and the time that the
    same device was back in the waiting room is subtracted."""

    def __init__(
        self, instances: Sequence[InstanceTimes], stays: Sequence[Stay], *, now: datetime, is_over: bool
    ) -> None:
        self._now = now
        self._is_over = is_over
        self._instances = {instance.uuid: instance for instance in instances}
        starts = [instance.started_at for instance in instances if instance.started_at]
        self._last_start = max(starts, default=None)
        self._waits: dict[tuple[str, str], list[Stay]] = defaultdict(list)
        for stay in stays:
            if stay.room == "waiting":
                self._waits[stay.instance, stay.session].append(stay)

    def presence(self, stays: Sequence[Stay]) -> Presence:
        """The presence of one person from all of their stays."""
        meeting_stays = [stay for stay in stays if stay.room == "meeting"]
        lengths = [stay.lasted for stay in meeting_stays if stay.lasted is not None]
        timed_stays = [stay for stay in meeting_stays if stay.lasted is None]
        intervals = [self._stay_interval(stay) for stay in timed_stays]
        bounds = [stay_interval.possible for stay_interval in intervals if stay_interval.possible is not None]
        is_unbounded = len(bounds) < len(intervals)
        return Presence(
            sure=union(interval for stay_interval in intervals for interval in stay_interval.sure),
            # Stays of known length and unknown times may overlap each other and the rest.
            possible=None
            if is_unbounded
            else max(total_seconds(bound_interval for bound in bounds for bound_interval in bound), sum(lengths)),
            first_join=_first_join(timed_stays),
            last_leave=self._last_leave(timed_stays, is_open=any(stay_interval.open for stay_interval in intervals)),
            stays=sum(not stay.breakout for stay in meeting_stays) or len(meeting_stays),
            waits=len(stays) - len(meeting_stays),
            open=any(stay_interval.open for stay_interval in intervals),
            flags=frozenset(flag for stay_interval in intervals for flag in stay_interval.flags)
            | ({RecordFlag.MINUTES_ONLY} if lengths else set()),
            lasted=max(lengths, default=0),
        )

    def _stay_interval(self, stay: Stay) -> _StayInterval:
        left_at, flags = self._leave_and_flags(stay)
        if stay.joined_at is None:
            return self._interval_without_join(stay, left_at, flags)
        if stay.left_before is not None:
            return _StayInterval(
                (), union([Interval(stay.joined_at, stay.left_before)]), flags=flags | {RecordFlag.NO_LEAVE_SEEN}
            )
        if left_at is None and self._is_running(stay.instance):
            left_at = max(self._now, stay.joined_at)
            return self._subtract_waiting(stay, Interval(stay.joined_at, left_at), _StayInterval((), (), True, flags))
        if left_at is None:
            return _StayInterval((), None, flags=flags | {RecordFlag.NO_LEAVE_SEEN})
        if left_at < stay.joined_at:
            is_contradiction = stay.joined_at - left_at > CLOCK_SLACK
            return _StayInterval((), None if is_contradiction else (), flags=flags | {RecordFlag.TIMES_REVERSED})
        return self._subtract_waiting(stay, Interval(stay.joined_at, left_at), _StayInterval((), (), False, flags))

    def _leave_and_flags(self, stay: Stay) -> tuple[datetime | None, frozenset[str]]:
        if stay.left_at is not None:
            closed_by_end = stay.leave_source == "ended"
            return stay.left_at, frozenset({RecordFlag.CLOSED_BY_MEETING_END} if closed_by_end else ())
        instance = self._instances.get(stay.instance)
        if instance is None or instance.ended_at is None or stay.left_before is not None:
            return None, frozenset()
        return instance.ended_at, frozenset({RecordFlag.CLOSED_BY_MEETING_END})

    def _interval_without_join(self, stay: Stay, left_at: datetime | None, flags: frozenset[str]) -> _StayInterval:
        """No time is certain; an upper bound is given by the start of the instance."""
        instance = self._instances.get(stay.instance)
        flags |= {RecordFlag.NO_JOIN_SEEN}
        starts = [time for time in (stay.joined_after, instance and instance.started_at) if time]
        if left_at is None or not starts:
            return _StayInterval((), None, flags=flags)
        longest = Interval(max(starts), left_at)
        waits = [
            Interval(wait.joined_at, wait.left_at)
            for wait in self._waits[stay.instance, stay.session]
            if wait.joined_at and wait.left_at
        ]
        return _StayInterval((), subtract([longest], waits), flags=flags)

    def _is_running(self, uuid: str) -> bool:
        """True without an end and without a later instance: a meeting has one instance at a time."""
        if self._is_over:
            return False
        instance = self._instances.get(uuid)
        started = instance.started_at if instance else None
        return started is None or self._last_start is None or started >= self._last_start

    def _subtract_waiting(self, stay: Stay, stay_time: Interval, interval: _StayInterval) -> _StayInterval:
        """Subtract the time in which the same device was back in the waiting room.

        Of a wait with one unknown end the longest possible time is subtracted; that time stays possible.
        """
        certain_waits: list[Interval] = []
        unclear_waits: list[Interval] = []
        is_open = interval.open
        for wait in self._waits[stay.instance, stay.session]:
            if wait.joined_at is not None and wait.left_at is not None:
                certain_waits.append(Interval(wait.joined_at, wait.left_at))
            elif wait.joined_at is not None and stay_time.start < wait.joined_at < stay_time.end:
                wait_end = min(stay_time.end, wait.left_before or stay_time.end)
                (certain_waits if is_open and wait.left_before is None else unclear_waits).append(
                    Interval(wait.joined_at, wait_end)
                )
                is_open = is_open and wait.left_before is not None
            elif wait.left_at is not None and stay_time.start + CLOCK_SLACK < wait.left_at <= stay_time.end:
                unclear_waits.append(Interval(max(stay_time.start, wait.joined_after or stay_time.start), wait.left_at))
        return _StayInterval(
            sure=subtract([stay_time], certain_waits + unclear_waits),
            possible=subtract([stay_time], certain_waits),
            open=is_open,
            flags=interval.flags | ({RecordFlag.WAITING_ROOM_UNCLEAR} if unclear_waits else set()),
        )

    def _last_leave(self, meeting_stays: Sequence[Stay], *, is_open: bool) -> datetime | None:
        """The last known leave, unless the person may have been in the meeting after it."""
        leaves = [leave for stay in meeting_stays if (leave := self._leave_and_flags(stay)[0]) is not None]
        last_leave = max(leaves, default=None)
        joins_without_leave = [stay.joined_at for stay in meeting_stays if self._leave_and_flags(stay)[0] is None]
        if is_open or last_leave is None or any(join is None or join >= last_leave for join in joins_without_leave):
            return None
        return last_leave


def _first_join(meeting_stays: Sequence[Stay]) -> datetime | None:
    """The first known join, unless a leave without a join proves an earlier one."""
    first_join = min((stay.joined_at for stay in meeting_stays if stay.joined_at), default=None)
    leaves_without_join = [stay.left_at for stay in meeting_stays if stay.joined_at is None]
    if first_join is None or any(leave is None or leave <= first_join for leave in leaves_without_join):
        return None
    return first_join

"""The only source of now, and the two zones that this portal knows: UTC inside, Manila on the page."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

MANILA = ZoneInfo("Asia/Manila")


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def today() -> date:
    """The date on the wall in Manila. 08:00 there is 00:00 UTC, so a UTC date would split every first period."""
    return to_manila(now()).date()


def to_manila(moment: datetime) -> datetime:
    """The same moment on the clock in Manila."""
    return moment.astimezone(MANILA)


def from_manila(day: date, at: time) -> datetime:
    """A wall-clock time in Manila as an aware UTC datetime. Manila has no daylight saving."""
    return datetime.combine(day, at, MANILA).astimezone(UTC)

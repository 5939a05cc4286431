"""Current time, and the portal's two time zones: UTC in storage, Manila on pages. No other module asks for the time."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

MANILA = ZoneInfo("Asia/Manila")


def now() -> datetime:
    """The current time, as aware UTC."""
    return datetime.now(UTC)


def today() -> date:
    """The current date in Manila. 08:00 there is 00:00 UTC, so a UTC date would change during the first period."""
    return to_manila(now()).date()


def to_manila(moment: datetime) -> datetime:
    """The same moment in Manila time."""
    return moment.astimezone(MANILA)


def from_manila(day: date, local_time: time) -> datetime:
    """A local time in Manila as an aware UTC datetime. Manila has no daylight saving time."""
    return datetime.combine(day, local_time, MANILA).astimezone(UTC)

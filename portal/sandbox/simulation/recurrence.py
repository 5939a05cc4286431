"""Expansion of Zoom's `recurrence` object to the occurrences of a meeting of type 8."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from portal.sandbox.simulation.errors import ZoomApiError, invalid_field
from portal.sandbox.simulation.models import JSON

DAILY, WEEKLY, MONTHLY = 1, 2, 3
MOST_OCCURRENCES = 50
LONGEST_INTERVAL = {DAILY: 99, WEEKLY: 50, MONTHLY: 10}
DAYS_LOOKED_AT = 366 * 5
DateFilter = Callable[[date], bool]


def recurrence_starts(recurrence: object, first: datetime, zone: ZoneInfo) -> list[datetime]:
    """The start of every occurrence, in UTC; the local time of `first` in `zone` stays the same.

    :param recurrence: Zoom's object: `type`, `repeat_interval`, `weekly_days`, `monthly_*`, and `end_times` or
    `end_date_time` but not both; without an end there is one occurrence.
    :raises ZoomApiError: 400/300 naming the field.
    """
    if not isinstance(recurrence, dict):
        raise invalid_field("recurrence")
    count, until = _parse_end(recurrence)
    local = first.astimezone(zone)
    starts: list[datetime] = []
    for day in _days(recurrence, local.date()):
        start = datetime.combine(day, local.time(), tzinfo=zone).astimezone(UTC)
        if until is not None and start > until:
            break
        starts.append(start)
        if len(starts) == count:
            break
    return starts


def _parse_end(recurrence: JSON) -> tuple[int, datetime | None]:
    times, end = recurrence.get("end_times"), recurrence.get("end_date_time")
    if times and end:
        raise ZoomApiError(400, 300, "The recurrence may have `end_times` or `end_date_time`, not both.")
    if end:
        try:
            until = datetime.strptime(str(end), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise invalid_field("recurrence.end_date_time") from error
        return MOST_OCCURRENCES, until
    number = _int_field(recurrence, "end_times", 1)
    if not 1 <= number <= MOST_OCCURRENCES:
        raise invalid_field("recurrence.end_times")
    return number, None


def _int_field(recurrence: JSON, name: str, default: int) -> int:
    value = recurrence.get(name) or default
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_field(f"recurrence.{name}")
    return value


def _days(recurrence: JSON, first: date) -> Iterator[date]:
    """The days from `first` on that match the rule."""
    kind = recurrence.get("type")
    if kind not in LONGEST_INTERVAL:
        raise invalid_field("recurrence.type")
    interval = _int_field(recurrence, "repeat_interval", 1)
    if not 1 <= interval <= LONGEST_INTERVAL[kind]:
        raise invalid_field("recurrence.repeat_interval")
    matches = {DAILY: _daily_filter, WEEKLY: _weekly_filter, MONTHLY: _monthly_filter}[kind](
        recurrence, first, interval
    )
    return (day for day in (first + timedelta(days=n) for n in range(DAYS_LOOKED_AT)) if matches(day))


def _daily_filter(recurrence: JSON, first: date, interval: int) -> DateFilter:
    return lambda day: (day - first).days % interval == 0


def _weekly_filter(recurrence: JSON, first: date, interval: int) -> DateFilter:
    try:
        # Sunday is 1; the schema's pattern forbids lists such as "1,3", the documentation's text allows them.
        days = {int(day) for day in str(recurrence.get("weekly_days") or _zoom_weekday(first)).split(",")}
    except ValueError as error:
        raise invalid_field("recurrence.weekly_days") from error
    if not days <= set(range(1, 8)):
        raise invalid_field("recurrence.weekly_days")
    sunday = first - timedelta(days=_zoom_weekday(first) - 1)
    return lambda day: _zoom_weekday(day) in days and (day - sunday).days // 7 % interval == 0


def _monthly_filter(recurrence: JSON, first: date, interval: int) -> DateFilter:
    week, weekday = recurrence.get("monthly_week"), recurrence.get("monthly_week_day")

    def in_month(day: date) -> bool:
        return ((day.year - first.year) * 12 + day.month - first.month) % interval == 0

    if week is None:
        month_day = _int_field(recurrence, "monthly_day", first.day)
        return lambda day: in_month(day) and day.day == month_day
    if week not in (-1, 1, 2, 3, 4) or weekday not in range(1, 8):
        raise invalid_field("recurrence.monthly_week")
    if week == -1:
        return lambda day: (
            in_month(day) and _zoom_weekday(day) == weekday and (day + timedelta(days=7)).month != day.month
        )
    return lambda day: in_month(day) and _zoom_weekday(day) == weekday and (day.day - 1) // 7 + 1 == week


def _zoom_weekday(day: date) -> int:
    """1 is Sunday, 7 is Saturday."""
    return day.isoweekday() % 7 + 1

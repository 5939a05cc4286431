"""Time formats of Zoom's API. Internally all times are aware UTC with whole seconds."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from portal.sandbox.simulation.errors import invalid_field


def real_utc_now() -> datetime:
    """The real time, as aware UTC."""
    return datetime.now(UTC)


def whole_seconds(moment: datetime) -> datetime:
    """The time in UTC without fraction: Zoom reports whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0)


def format_timestamp(moment: datetime | None) -> str:
    """`2026-01-31T14:00:00Z`, as in all responses of Zoom; "" for None."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def to_milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, as in `event_ts` and `occurrence_id`."""
    return int(moment.timestamp() * 1000)


def parse_time_zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name.

    :raises ZoomApiError: 400/300 naming `timezone`.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid_field("timezone") from error


def parse_start_time(text: object, timezone: str) -> datetime:
    """Parse a `start_time`: with Z it is UTC, without it is local time in `timezone`.

    :raises ZoomApiError: 400/300 naming `start_time`.
    """
    if not isinstance(text, str):
        raise invalid_field("start_time")
    pattern = "%Y-%m-%dT%H:%M:%SZ" if text.endswith("Z") else "%Y-%m-%dT%H:%M:%S"
    try:
        local_time = datetime.strptime(text, pattern)  # noqa: DTZ007 - the time zone is added below
    except ValueError as error:
        raise invalid_field("start_time") from error
    if text.endswith("Z"):
        return local_time.replace(tzinfo=UTC)
    return local_time.replace(tzinfo=parse_time_zone(timezone)).astimezone(UTC)


def next_midnight(moment: datetime) -> datetime:
    """The next 00:00 UTC, when Zoom's daily limits reset."""
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1)

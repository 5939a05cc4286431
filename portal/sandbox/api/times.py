"""Zoom's ways of writing times, in and out. Inside everything is an aware UTC datetime of whole seconds."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from portal.sandbox.simulation.errors import invalid_field


def real_utc_now() -> datetime:
    """The real time, aware, UTC."""
    return datetime.now(UTC)


def whole_seconds(moment: datetime) -> datetime:
    """The moment in UTC without a fraction: Zoom reports whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0)


def format_timestamp(moment: datetime | None) -> str:
    """`2026-01-31T14:00:00Z`, as in every answer of Zoom; empty for none."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def to_milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, as in `event_ts` and `occurrence_id`."""
    return int(moment.timestamp() * 1000)


def parse_time_zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name.

    :raises Refusal: 400/300 naming `timezone`.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid_field("timezone") from error


def parse_start_time(text: object, timezone: str) -> datetime:
    """A `start_time` of a request: with Z it is GMT, without it is local in `timezone`.

    :raises Refusal: 400/300 naming `start_time`.
    """
    if not isinstance(text, str):
        raise invalid_field("start_time")
    shape = "%Y-%m-%dT%H:%M:%SZ" if text.endswith("Z") else "%Y-%m-%dT%H:%M:%S"
    try:
        written = datetime.strptime(text, shape)  # noqa: DTZ007 - the zone is put on in the next line
    except ValueError as error:
        raise invalid_field("start_time") from error
    if text.endswith("Z"):
        return written.replace(tzinfo=UTC)
    return written.replace(tzinfo=parse_time_zone(timezone)).astimezone(UTC)


def next_midnight(moment: datetime) -> datetime:
    """The 00:00 UTC after the moment, when Zoom's daily limits begin anew."""
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1)

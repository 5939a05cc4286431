"""Date and time formats: "Tue 3 Nov, 8:00 AM", in Filipino "Mar, Nob 3, 8:00 AM".

In the language of the reader, that of the page or the mail; English without one (exports).
"""

from datetime import date, datetime

from babel import Locale
from babel.dates import format_date
from flask_babel import get_locale

from portal.core import clock
from portal.core.translations import gettext as _

# The abbreviations are Unicode CLDR's. Filipino puts the month first; without the comma, "Mar 3" would be March.
_PATTERNS = {
    "en": {"day": "EEE d MMM", "long": "EEEE d MMMM y"},
    "fil": {"day": "EEE, MMM d", "long": "EEEE, MMMM d, y"},
}


def format_time(moment: datetime) -> str:
    """8:00 AM, in Manila time; the same in both languages."""
    local = clock.to_manila(moment)
    return f"{local.hour % 12 or 12}:{local.minute:02} {'AM' if local.hour < 12 else 'PM'}"


def format_day(moment: datetime | date) -> str:
    """Tue 3 Nov"""
    return _format_local_date(moment, _patterns()["day"])


def format_weekday(moment: datetime | date) -> str:
    """Tue"""
    return _format_local_date(moment, "EEE")


def format_day_long(moment: datetime | date) -> str:
    """Tuesday 3 November 2026"""
    return _format_local_date(moment, _patterns()["long"])


def format_month(moment: datetime | date) -> str:
    """November 2026"""
    return _format_local_date(moment, "MMMM y")


def format_datetime(moment: datetime) -> str:
    """Tue 3 Nov, 8:00 AM"""
    return f"{format_day(moment)}, {format_time(moment)}"


def format_time_range(start: datetime, end: datetime) -> str:
    """8:00 to 9:00 AM, or 11:30 AM to 12:30 PM"""
    first, last = format_time(start), format_time(end)
    return _("%(start)s to %(end)s", start=first[:-3] if first[-2:] == last[-2:] else first, end=last)


def _patterns() -> dict[str, str]:
    return _PATTERNS.get(_language().language, _PATTERNS["en"])


def _language() -> Locale:
    return get_locale() or Locale("en")


def _format_local_date(moment: datetime | date, pattern: str) -> str:
    local = clock.to_manila(moment).date() if isinstance(moment, datetime) else moment
    return format_date(local, pattern, locale=_language())

"""National holidays with a certain date, the base layer of the calendar.

2026: Proclamation 1006 (s. 2025), the rest of school year 2026-2027. 2027: only days that the law itself fixes;
those that a proclamation may move (Araw ng Kagitingan, Ninoy Aquino Day, Bonifacio Day) and the Eid holidays
are declared later, in `calendar_days`, as are local holidays and suspensions.
"""

from datetime import date, timedelta

from dateutil.easter import easter
from flask_babel import gettext

from portal.core.translations import N_

_NEW_YEAR = N_("New Year's Day")
_ALL_SAINTS = N_("All Saints' Day")
_CHRISTMAS = N_("Christmas Day")
_RIZAL = N_("Rizal Day")
_LAST_DAY = N_("Last day of the year")
_CONCEPTION = N_("Feast of the Immaculate Conception")
_HEROES = N_("National Heroes Day")
_INDEPENDENCE = N_("Independence Day")


NATIONAL_HOLIDAYS: dict[date, str] = {
    date(2026, 6, 12): _INDEPENDENCE,
    date(2026, 8, 21): N_("Ninoy Aquino Day"),
    date(2026, 8, 31): _HEROES,
    date(2026, 11, 1): _ALL_SAINTS,
    date(2026, 11, 2): N_("All Souls' Day"),
    date(2026, 11, 30): N_("Bonifacio Day"),
    date(2026, 12, 8): _CONCEPTION,
    date(2026, 12, 24): N_("Christmas Eve"),
    date(2026, 12, 25): _CHRISTMAS,
    date(2026, 12, 30): _RIZAL,
    date(2026, 12, 31): _LAST_DAY,
    date(2027, 1, 1): _NEW_YEAR,
    easter(2027) - timedelta(days=3): N_("Maundy Thursday"),
    easter(2027) - timedelta(days=2): N_("Good Friday"),
    date(2027, 5, 1): N_("Labor Day"),
    date(2027, 6, 12): _INDEPENDENCE,
    date(2027, 8, 30): _HEROES,  # the last Monday of August
    date(2027, 11, 1): _ALL_SAINTS,
    date(2027, 12, 8): _CONCEPTION,
    date(2027, 12, 25): _CHRISTMAS,
    date(2027, 12, 30): _RIZAL,
    date(2027, 12, 31): _LAST_DAY,
}


def national_holidays(first: date, last: date) -> dict[date, str]:
    """The national holidays between two days, both included, named in the reader's language."""
    return {day: gettext(name) for day, name in NATIONAL_HOLIDAYS.items() if first <= day <= last}

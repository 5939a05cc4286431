"""What School Form 2 needs of the database: the class days, the learners with their times, the register."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

from sqlalchemy import select

from portal.attendance import register
from portal.base import clock
from portal.base.db import db
from portal.classes.models import Enrolment, Learner, Section
from portal.classes.queries import lis_order
from portal.meetings import class_days
from portal.reports import sf2

BACK = timedelta(days=45)  # before the month, for absences in a row that began there
# When school years opened: DO 12 s. 2025 and DO 9 s. 2026. The cut-off is their first Friday.
OPENED = {2025: date(2025, 6, 16), 2026: date(2026, 6, 8)}


@dataclass(frozen=True)
class Month:
    """The form, and what the page says beside it. `off` are the days without class with their names; `unrecorded`
    class days that are past and of which nothing is known, which are left out; `adrift` says by how many the
    registered differ from those of the month before, plus who came, less who left."""

    form: sf2.Form
    off: dict[date, str]
    unrecorded: tuple[date, ...]
    cut_off: date
    adrift: int


def first_friday(school_year: str) -> date:
    """The cut-off day of a school year ("2026-2027"): the first Friday of its classes, or of June."""
    year = int(school_year[:4])
    day = OPENED.get(year, date(year, 6, 1))
    return day + timedelta(days=(4 - day.weekday()) % 7)


def read(section: Section, year: int, month: int) -> Month:
    """The month of a section (with its school loaded), in five statements."""
    first, last = sf2.month_of(year, month)
    today = clock.today()
    off = class_days.days_off(section, first - BACK, last)
    known = register.read(section.id, first - BACK, min(last, today))
    learners = _enrolled(section)
    usual = [
        day
        for day in (first - BACK + timedelta(days=n) for n in range((last - first + BACK).days + 1))
        if day.weekday() < 5 and day not in off and day <= today
    ]
    # A day on which class was held is a class day, whatever the calendar says; one of which nothing is known is not
    # counted yet, for a blank cell would call everybody present.
    held = sorted(known.days)
    entries = {
        (str(learner_id), day): sf2.Day(cast(sf2.Status, one.status), cast(sf2.Tardy, one.tardy))
        for (learner_id, day), one in known.entries.items()
    }
    cut_off = section.cut_off or first_friday(section.school_year)
    form = sf2.compute(
        first,
        last,
        class_days=[day for day in held if day >= first],
        before=[day for day in held if day < first],
        learners=learners,
        register=entries,
        cut_off=cut_off,
    )
    before = len({one.key for one in learners if one.on(first - timedelta(days=1))})
    return Month(
        form=form,
        off={day: name for day, name in off.items() if first <= day <= last},
        unrecorded=tuple(day for day in usual if day >= first and day not in known.days),
        cut_off=cut_off,
        adrift=sf2.does_not_add_up(before, form.both) if before else 0,
    )


def _enrolled(section: Section) -> list[sf2.Enrolled]:
    rows = db.session.execute(
        select(
            Learner.id,
            Learner.lis_name,
            Learner.sex,
            Enrolment.from_date,
            Enrolment.until_date,
            Enrolment.came_by,
            Enrolment.reason,
            Enrolment.detail,
        )
        .join(Learner, Learner.id == Enrolment.learner_id)
        .where(Enrolment.section_id == section.id)
        .order_by(*lis_order, Enrolment.from_date)
    )
    return [
        sf2.Enrolled(str(row[0]), row[1], cast(sf2.Sex, row[2]), row[3], row[4], row[5], row[6], row[7]) for row in rows
    ]

"""SELECTs for School Form 2: class days, learners with their enrolment periods, and the daily record."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

from sqlalchemy import select

from portal.accounts.models import User
from portal.attendance.record import service as record_service
from portal.classes.models import Enrolment, Learner, Section
from portal.classes.queries import lis_order
from portal.classes.section_names import normalise_grade_level
from portal.core import clock
from portal.core.db import db
from portal.meetings.school_calendar import service as school_calendar_service
from portal.reports.sf2 import calculation

# Opening days of school years: DO 12 s. 2025 and DO 9 s. 2026. The cut-off is the first Friday from then on.
OPENING_DAYS = {2025: date(2025, 6, 16), 2026: date(2026, 6, 8)}
PRESCRIBED_DAYS = {2025: 197, 2026: 201}  # class days of the year, by the same orders
FORMS = ("present", "tardy", "shs")
PAPERS = ("a4", "long")


@dataclass(frozen=True)
class Sf2Month:
    """The form, and what the page shows beside it. `off`: days without class with their names; `unrecorded`: past
    class days without data, which are left out; `adrift`: see `calculation.find_enrolment_discrepancy`; `head`: the
    school head's name, empty if unknown; `kind`: the form (see FORMS); `prescribed`: the class days of the school year,
    if known."""

    form: calculation.Sf2Form
    off: dict[date, str]
    unrecorded: tuple[date, ...]
    cutoff_date: date
    adrift: int
    head: str
    kind: str
    prescribed: int | None


def sf2_form_kind(section: Section) -> str:
    """The form chosen by the section; by default senior high school's for Grades 11 and 12, LIS's for the others."""
    if section.sf2_form in FORMS:
        return section.sf2_form
    return "shs" if re.search(r"\b1[12]\b", normalise_grade_level(section.grade_level)) else "present"


def school_head_name(section: Section) -> str:
    """The name of the school head: as set by the section, else the school's admin if there is only one."""
    if section.school_head:
        return section.school_head
    names = db.session.scalars(
        select(User.full_name)
        .where(
            User.school_id == section.school_id,
            User.role == "admin",
            User.scope == "school",
            User.deactivated_at.is_(None),
            User.confirmed_at.is_not(None),
        )
        .limit(2)
    ).all()
    return names[0] if len(names) == 1 else ""


def first_friday_of_year(school_year: str) -> date:
    """The cut-off day of a school year ("2026-2027"): the first Friday of its classes, or of June."""
    year = int(school_year[:4])
    day = OPENING_DAYS.get(year, date(year, 6, 1))
    return day + timedelta(days=(4 - day.weekday()) % 7)


def load_sf2_month(section: Section, year: int, month: int) -> Sf2Month:
    """The month of a section (with its school loaded), in seven statements."""
    first, last = calculation.days_of_month(year, month)
    today = clock.today()
    days_off = school_calendar_service.load_section_days_off(section, first, last)
    daily_record = record_service.load_daily_record(section.id, min(section.first_day, first), min(last, today))
    learners = _load_enrolment_periods(section)
    expected_days = [
        day
        for day in (first + timedelta(days=offset) for offset in range((last - first).days + 1))
        if day.weekday() < 5 and day not in days_off and day <= today
    ]
    # A day with class is a class day, whatever the calendar has. A day without data is not counted yet: its blank cells
    # would mark everybody present.
    days = sorted(daily_record.days)
    entries = {
        (str(learner_id), day): calculation.RecordDay(
            cast(calculation.Status, entry.status), cast(calculation.Tardy, entry.tardy)
        )
        for (learner_id, day), entry in daily_record.entries.items()
    }
    cut_off = section.sf2_cutoff_date or first_friday_of_year(section.school_year)
    form = calculation.compute_sf2(
        first,
        last,
        class_days=[day for day in days if day >= first],
        before=[day for day in days if day < first],
        learners=learners,
        register=entries,
        cut_off=cut_off,
    )
    registered_before = len({period.key for period in learners if period.on(first - timedelta(days=1))})
    return Sf2Month(
        form=form,
        off=days_off,
        unrecorded=tuple(day for day in expected_days if day not in daily_record.days),
        cutoff_date=cut_off,
        adrift=calculation.find_enrolment_discrepancy(registered_before, form.both) if registered_before else 0,
        head=school_head_name(section),
        kind=sf2_form_kind(section),
        prescribed=PRESCRIBED_DAYS.get(int(section.school_year[:4])),
    )


def _load_enrolment_periods(section: Section) -> list[calculation.EnrolmentPeriod]:
    rows = db.session.execute(
        select(
            Learner.id,
            Learner.lis_name,
            Learner.sex,
            Enrolment.from_date,
            Enrolment.until_date,
            Enrolment.entry_reason,
            Enrolment.exit_reason,
            Enrolment.exit_detail,
        )
        .join(Learner, Learner.id == Enrolment.learner_id)
        .where(Enrolment.section_id == section.id)
        .order_by(*lis_order, Enrolment.from_date)
    )
    return [
        calculation.EnrolmentPeriod(
            str(row[0]), row[1], cast(calculation.Sex, row[2]), row[3], row[4], row[5], row[6], row[7]
        )
        for row in rows
    ]

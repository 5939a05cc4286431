from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField
from wtforms import BooleanField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, Optional, Regexp, ValidationError

from portal.core import clock
from portal.core.forms import FileOrTextMixin, PortalForm, SchoolDateField
from portal.meetings.school_calendar.access import ScopeOption
from portal.meetings.school_calendar.csv_import import NAME_LIMIT
from portal.meetings.school_calendar.service import CalendarEntry

KINDS = [
    SelectChoice("suspended", _l("Classes suspended")),
    SelectChoice("holiday", _l("Holiday")),
    SelectChoice("class", _l("Class after all (make-up class day)")),
]
MAX_SPAN = timedelta(days=120)


def is_day_plannable(day: date) -> bool:
    """Only days within two years of today can be declared."""
    return abs(day - clock.today()) <= timedelta(days=2 * 366)


def _validate_plannable(_form: PortalForm, field: SchoolDateField) -> None:
    if field.data and not is_day_plannable(field.data):
        raise ValidationError(_("This is too far away. Correct the year."))


class CalendarDayForm(PortalForm):
    """One declared day, for editing."""

    day = SchoolDateField(
        _l("Day"), [InputRequired(_l("Choose the day.")), _validate_plannable], render_kw={"data-say-day": True}
    )
    kind = RadioField(_l("What is it"), [InputRequired(_l("Choose what it is."))], choices=KINDS, default="suspended")
    name = StringField(
        _l("Name"),
        [DataRequired(_l("Write its name.")), Length(max=NAME_LIMIT)],
        description=_l("Everybody sees it in the calendar, e.g. Typhoon signal no. 2, Foundation day"),
    )

    @property
    def entry(self) -> CalendarEntry:
        assert self.day.data  # required
        return CalendarEntry(self.day.data, str(self.kind.data), " ".join((self.name.data or "").split()))


class CalendarScopeForm(PortalForm):
    """Whom a day is declared for. The school's ID is a field only for users with several schools."""

    place = SelectField(_l("For whom"))
    school = StringField(
        _l("School ID"),
        [Optional(), Regexp(r"^[0-9]{6}\Z", message=_l("The school ID has 6 digits."))],
        description=_l("Only for one school: 6 digits, as on School Form 1."),
        render_kw={"inputmode": "numeric"},
    )

    def __init__(self, options: Sequence[ScopeOption], *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        self.place.choices = [SelectChoice(option.key, scope_option_label(option)) for option in options]
        if all(option.calendar_scope for option in options):
            del self.school

    @property
    def deped_id(self) -> str:
        return (self.school.data or "") if self.school else ""


class CalendarDaysForm(CalendarDayForm, CalendarScopeForm):
    last = SchoolDateField(
        _l("Last day"),
        [Optional(), _validate_plannable],
        description=_l("For several days in a row. Leave it empty for one day."),
    )
    weekdays = BooleanField(_l("Leave out Saturdays and Sundays in between"), default=True)

    def validate_last(self, field: SchoolDateField) -> None:
        if field.data and self.day.data and not timedelta() <= field.data - self.day.data <= MAX_SPAN:
            raise ValidationError(_("The last day comes after the first, at most 120 days later."))

    @property
    def days(self) -> list[CalendarEntry]:
        first_entry = self.entry
        last_day = self.last.data or first_entry.date
        if last_day == first_entry.date:
            return [first_entry]
        all_days = [
            first_entry.date + timedelta(days=offset) for offset in range((last_day - first_entry.date).days + 1)
        ]
        return [
            CalendarEntry(day, first_entry.kind, first_entry.name)
            for day in all_days
            if not self.weekdays.data or day.isoweekday() <= 5
        ]

    def validate_weekdays(self, _field: BooleanField) -> None:
        if self.day.data and self.name.data and not self.last.errors and not self.days:
            raise ValidationError(_("Then no day is left: these are a Saturday and a Sunday."))


class CalendarFileForm(FileOrTextMixin, CalendarScopeForm):
    file = FileField(
        _l("CSV file"),
        description=_l("With the columns date, kind and name. Kinds are holiday, suspended and class."),
        render_kw={"accept": ".csv,.tsv,.txt"},
    )
    pasted = TextAreaField(_l("Paste the rows"), [Length(max=100_000)], render_kw={"rows": 4})


def scope_option_label(option: ScopeOption) -> str:
    """The label of a scope option."""
    if option.scope == "region":
        return _("All schools of the region")
    if option.scope == "division":
        return _("Division: %(name)s", name=option.name)
    if option.scope == "school":
        return (
            _("The whole school: %(name)s", name=option.name) if option.calendar_scope else _("One school, by its ID")
        )
    return option.name

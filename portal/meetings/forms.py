from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    HiddenField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, ValidationError
from wtforms.widgets import CheckboxInput

from portal.core import clock
from portal.core.forms import BoundedIntegerField, PortalForm, SchoolDateField
from portal.meetings.option_policies import (
    FORCED,
    NEVER,
    OFF,
    ON,
    EffectivePolicies,
)
from portal.meetings.scheduling.conflicts import FIRST_START, LAST_START
from portal.meetings.scheduling.recurrence import MAX_DATES, MAX_SPAN, WeeklyRule
from portal.meetings.service import MeetingDetails

WEEKDAYS = (
    (1, _l("Mon"), _l("Monday")),
    (2, _l("Tue"), _l("Tuesday")),
    (3, _l("Wed"), _l("Wednesday")),
    (4, _l("Thu"), _l("Thursday")),
    (5, _l("Fri"), _l("Friday")),
    (6, _l("Sat"), _l("Saturday")),
    (7, _l("Sun"), _l("Sunday")),
)
MINUTES = NumberRange(5, 720, message=_l("Between 5 and 720 minutes."))


def _weekday_start_field(weekday: object) -> TimeField:
    return TimeField(weekday, [Optional()])


def _weekday_minutes_field(weekday: object) -> BoundedIntegerField:
    return BoundedIntegerField(
        _l("Minutes on %(day)s", day=weekday), [Optional(), MINUTES], render_kw={"inputmode": "numeric"}
    )


class MeetingForm(PortalForm):
    """A single class, or a schedule where weekdays are chosen. `client_key` makes submitting idempotent.

    `exceptions` carries the exceptions for single days between requests: "2026-11-17=10:00,2026-11-24=" is a day
    at another time and a day without class.
    """

    client_key = HiddenField()
    exceptions = HiddenField()
    class_id = SelectField(_l("Class"), [InputRequired(_l("Choose the class."))])
    title = StringField(
        _l("Title"),
        [DataRequired(_l("Write a title.")), Length(max=200, message=_l("At most 200 characters."))],
        description=_l("Learners see this title."),
    )
    day = SchoolDateField(_l("Day"), [InputRequired(_l("Choose the day."))], render_kw={"data-say-day": True})
    start = TimeField(_l("Starts"), [InputRequired(_l("Write when it starts, e.g. 8:00 AM."))])
    minutes = BoundedIntegerField(
        _l("Minutes"),
        [
            InputRequired(_l("Write how many minutes the class lasts.")),
            MINUTES,
        ],
        default=60,
        render_kw={"inputmode": "numeric"},
    )
    weekdays = SelectMultipleField(
        _l("Repeat each week"),
        coerce=int,
        choices=[SelectChoice(number, short) for number, short, _long in WEEKDAYS],
        option_widget=CheckboxInput(),
        description=_l("Choose no day for a single class. Each day may have its own time."),
    )
    start_1 = _weekday_start_field(_l("Monday"))
    minutes_1 = _weekday_minutes_field(_l("Monday"))
    start_2 = _weekday_start_field(_l("Tuesday"))
    minutes_2 = _weekday_minutes_field(_l("Tuesday"))
    start_3 = _weekday_start_field(_l("Wednesday"))
    minutes_3 = _weekday_minutes_field(_l("Wednesday"))
    start_4 = _weekday_start_field(_l("Thursday"))
    minutes_4 = _weekday_minutes_field(_l("Thursday"))
    start_5 = _weekday_start_field(_l("Friday"))
    minutes_5 = _weekday_minutes_field(_l("Friday"))
    start_6 = _weekday_start_field(_l("Saturday"))
    minutes_6 = _weekday_minutes_field(_l("Saturday"))
    start_7 = _weekday_start_field(_l("Sunday"))
    minutes_7 = _weekday_minutes_field(_l("Sunday"))
    until = SchoolDateField(_l("Last day"), [Optional()])
    dates = BoundedIntegerField(
        _l("Or number of classes"),
        [Optional(), NumberRange(1, MAX_DATES, message=_l("Between 1 and 300 classes."))],
        render_kw={"inputmode": "numeric"},
    )
    description = TextAreaField(
        _l("Description"),
        [Optional(), Length(max=1900, message=_l("At most 1,900 characters."))],
        description=_l("Topic, what to bring. Learners see it in Zoom."),
        render_kw={"rows": 3},
    )
    waiting_room = BooleanField(
        _l("Waiting room"), default=True, description=_l("Learners wait until you let them in.")
    )
    mute_upon_entry = BooleanField(
        _l("Muted on entry"), default=True, description=_l("Microphones are off when they come in.")
    )
    join_before_host = BooleanField(
        _l("Join before you"), description=_l("The room opens without you. Not advised with children.")
    )
    host_video = BooleanField(_l("Your camera on"), default=True, description=_l("Starts with your video on."))
    participant_video = BooleanField(
        _l("Learners' cameras on"),
        description=_l("Leave off: saves their data, and nobody has to show their home."),
    )
    auto_recording = SelectField(
        _l("Record"),
        choices=[
            SelectChoice("none", _l("Do not record")),
            SelectChoice("local", _l("On your computer")),
            SelectChoice("cloud", _l("In Zoom's cloud")),
        ],
        default="none",
        description=_l("Recording minors needs their parents' consent first."),
    )
    meeting_authentication = BooleanField(
        _l("Only people signed in to Zoom"),
        description=_l("Leave off: most learners have no Zoom account."),
    )
    audience = SelectField(
        _l("Who joins"),
        choices=[
            SelectChoice("class", _l("The class roster and its teachers")),
            SelectChoice("students", _l("The class roster only")),
        ],
        default="class",
    )
    approval_type = SelectField(
        _l("Who else may register"),
        coerce=int,
        choices=[
            SelectChoice(1, _l("Nobody without your approval")),
            SelectChoice(0, _l("Anybody with the registration page")),
            SelectChoice(2, _l("No registration: one link for all, matched by name afterwards")),
        ],
        default=1,
    )
    registration_type = SelectField(
        _l("Registration for repeated classes"),
        coerce=int,
        choices=[
            SelectChoice(1, _l("Once for all dates")),
            SelectChoice(2, _l("For each date")),
            SelectChoice(3, _l("Once, then choose dates")),
        ],
        default=1,
    )

    @property
    def chosen_days(self) -> list[int]:
        """The weekdays of a schedule; none for a single meeting."""
        return list(self.weekdays.data or []) if self.weekdays else []

    def validate_day(self, field: SchoolDateField) -> None:
        if field.data and field.data > clock.today() + timedelta(days=365):
            raise ValidationError(_l("That is more than a year away. Check the year."))
        if field.data and self.chosen_days and field.data < clock.today():
            raise ValidationError(_l("That day has passed. Choose a later one."))

    def validate_weekdays(self, field: SelectMultipleField) -> None:
        if field.data and not (self.until.data or self.dates.data or self.until.errors or self.dates.errors):
            raise ValidationError(_l("Say the last day, or how many classes there are."))

    def validate_until(self, field: SchoolDateField) -> None:
        first = self.day.data
        if not (self.weekdays.data and field.data and first):
            return
        if field.data < first:
            raise ValidationError(_l("The last day must come after the first."))
        if field.data > first + MAX_SPAN:
            raise ValidationError(_l("A schedule lasts a year at most."))

    def validate_dates(self, field: BoundedIntegerField) -> None:
        if self.weekdays.data and field.data and self.until.data:
            raise ValidationError(_l("Give the last day or the number of classes, not both."))

    def validate_start(self, field: TimeField) -> None:
        """A class that is over cannot be scheduled; one that has just begun can."""
        if self.chosen_days or not (self.day.data and field.data):
            return
        starts_at = clock.from_manila(self.day.data, field.data)
        if starts_at + timedelta(minutes=self.minutes.data or 60) < clock.now():
            raise ValidationError(_l("That time has passed. Choose a later one."))

    def apply_policies(self, policies: EffectivePolicies, *, fresh: bool) -> None:
        """Show forced and forbidden options; on a fresh form also the defaults."""
        for option, policy in policies.items():
            field = self[option]
            if option == "auto_recording" and policy.rule == FORCED:
                field.choices = [choice for choice in field.choices if choice.value != "none"]
                if fresh or field.data == "none":
                    field.data = policy.value
            elif policy.is_fixed or fresh:
                field.data = policy.value

    def start_now(self) -> None:
        """Set day and start to now and drop the repetition, whatever was submitted."""
        local = clock.to_manila(clock.now()).replace(second=0, microsecond=0, tzinfo=None)
        self.day.data, self.day.process_errors, self.day.raw_data = local.date(), [], [local.date().isoformat()]
        set_time_field(self.start, local.time())
        if self.weekdays:
            self.weekdays.data = []
            for field in (self.until, self.dates):
                field.process_errors, field.raw_data, field.data = [], [], None

    def rule(self) -> WeeklyRule | None:
        """The weekly rule, or None for a single class. Weekdays without a time of their own get the common one."""
        assert isinstance(self.day.data, date) and self.start.data and self.minutes.data  # validated
        if not self.weekdays.data:
            return None
        times = {
            day: (self[f"start_{day}"].data or self.start.data, self[f"minutes_{day}"].data or self.minutes.data)
            for day in sorted(self.weekdays.data)
        }
        return WeeklyRule(
            times, self.day.data, until=self.until.data, dates=None if self.until.data else self.dates.data
        )

    def exceptions_by_date(self) -> dict[date, time | None]:
        """`exceptions` parsed; entries that are no day or no time are left out."""
        exceptions: dict[date, time | None] = {}
        for entry in (self.exceptions.data or "").split(",")[:MAX_DATES]:
            day, _, start = entry.partition("=")
            try:
                exceptions[date.fromisoformat(day)] = time.fromisoformat(start) if start else None
            except ValueError:
                continue
        return exceptions

    def add_exception(self, entry: str) -> None:
        """Add one exception, in the form in which a button of the page sends it; it replaces one for the same day."""
        day = entry.partition("=")[0]
        others = [part for part in (self.exceptions.data or "").split(",") if part and part.partition("=")[0] != day]
        self.exceptions.data = ",".join([*others, entry])

    def details(self) -> MeetingDetails:
        """The form's values as the service takes them."""
        assert isinstance(self.day.data, date) and self.start.data  # validated
        starts_at = clock.from_manila(self.day.data, self.start.data)
        return MeetingDetails(starts_at=starts_at, minutes=self.minutes.data or 60, **self.options())

    def options(self) -> dict[str, Any]:
        """The arguments of `MeetingDetails` other than the time."""
        return {
            "title": " ".join((self.title.data or "").split()),
            "description": (self.description.data or "").strip(),
            "audience": self.audience.data,
            "host_video": self.host_video.data,
            "participant_video": self.participant_video.data,
            "join_before_host": self.join_before_host.data and not self.waiting_room.data,
            "mute_upon_entry": self.mute_upon_entry.data,
            "waiting_room": self.waiting_room.data,
            "auto_recording": self.auto_recording.data,
            "meeting_authentication": self.meeting_authentication.data,
            "registration_type": self.registration_type.data,
            "approval_type": self.approval_type.data,
        }


class RecurringMeetingForm(MeetingForm):
    """Edits title and options of a meeting with several dates. Each date's time has a page of its own."""

    day = start = minutes = weekdays = until = dates = None  # type: ignore[assignment]  # so WTForms drops a field
    start_1 = minutes_1 = None  # type: ignore[assignment]
    start_2 = minutes_2 = None  # type: ignore[assignment]
    start_3 = minutes_3 = None  # type: ignore[assignment]
    start_4 = minutes_4 = None  # type: ignore[assignment]
    start_5 = minutes_5 = None  # type: ignore[assignment]
    start_6 = minutes_6 = None  # type: ignore[assignment]
    start_7 = minutes_7 = None  # type: ignore[assignment]


class StaffMeetingForm(MeetingForm):
    """A meeting without a class: an audience in place of the class, and one date.

    The choices of `audience` are those that the person may invite.
    """

    class_id = weekdays = until = dates = exceptions = None  # type: ignore[assignment]  # so WTForms drops a field
    start_1 = minutes_1 = None  # type: ignore[assignment]
    start_2 = minutes_2 = None  # type: ignore[assignment]
    start_3 = minutes_3 = None  # type: ignore[assignment]
    start_4 = minutes_4 = None  # type: ignore[assignment]
    start_5 = minutes_5 = None  # type: ignore[assignment]
    start_6 = minutes_6 = None  # type: ignore[assignment]
    start_7 = minutes_7 = None  # type: ignore[assignment]
    audience = SelectField(
        _l("Who is invited"),
        choices=[
            SelectChoice("personal", _l("People I name")),
            SelectChoice("teachers", _l("All teachers of my school")),
            SelectChoice("all", _l("Everybody at my school, admins too")),
        ],
        default="personal",
    )
    invited = TextAreaField(
        _l("Addresses"),
        [Length(max=20_000, message=_l("That is too long a list."))],
        description=_l("School addresses of people with an account here, one a line. Only for people you name."),
        render_kw={"rows": 5, "inputmode": "email", "autocapitalize": "none", "spellcheck": "false"},
    )

    def limit_audiences(self, audiences: Collection[str]) -> None:
        """Leave only these audiences."""
        self.audience.choices = [choice for choice in self.audience.choices or [] if choice.value in audiences]


class OccurrenceForm(PortalForm):
    """A new time for one date of a schedule."""

    day = SchoolDateField(_l("Day"), [InputRequired(_l("Choose the day."))], render_kw={"data-say-day": True})
    start = TimeField(_l("Starts"), [InputRequired(_l("Write when it starts, e.g. 8:00 AM."))])
    minutes = BoundedIntegerField(
        _l("Minutes"),
        [InputRequired(_l("Write how many minutes the class lasts.")), MINUTES],
        render_kw={"inputmode": "numeric"},
    )

    def validate_start(self, field: TimeField) -> None:
        if self.day.data and field.data and self.starts_at() <= clock.now():
            raise ValidationError(_l("That time has passed. Choose a later one."))

    def validate_day(self, field: SchoolDateField) -> None:
        if field.data and field.data > clock.today() + MAX_SPAN:
            raise ValidationError(_l("That is more than a year away. Check the year."))

    def starts_at(self) -> datetime:
        assert self.day.data and self.start.data  # validated
        return clock.from_manila(self.day.data, self.start.data)


def _policy_field(label: object) -> SelectField:
    return SelectField(
        label,
        choices=[
            SelectChoice("", _l("No rule of ours")),
            SelectChoice(FORCED, _l("Always on")),
            SelectChoice(ON, _l("On, but teachers may change it")),
            SelectChoice(OFF, _l("Off, but teachers may change it")),
            SelectChoice(NEVER, _l("Not allowed")),
        ],
        default="",
    )


class PolicyForm(PortalForm):
    """An admin's rule for each of `option_policies.POLICY_OPTIONS`; empty where there is none."""

    waiting_room = _policy_field(_l("Waiting room"))
    mute_upon_entry = _policy_field(_l("Muted on entry"))
    join_before_host = _policy_field(_l("Join before the host"))
    host_video = _policy_field(_l("Host's camera on"))
    participant_video = _policy_field(_l("Learners' cameras on"))
    auto_recording = _policy_field(_l("Recording"))
    meeting_authentication = _policy_field(_l("Only people signed in to Zoom"))


class CancelForm(PortalForm):
    reason = StringField(
        _l("Reason"),
        [Optional(), Length(max=200)],
        description=_l("Kept in the history of the class, e.g. class suspension."),
    )


def set_time_field(field: TimeField, value: time) -> None:
    """Set a field's value in place of the submitted one, so that the page shows it."""
    field.data, field.raw_data, field.process_errors = value, [value.strftime("%H:%M")], []


def suggested_start_time() -> datetime:
    """The next full quarter hour in Manila; at night 8:00 of the next morning."""
    local = clock.to_manila(clock.now())
    minutes_to_quarter = -local.minute % 15 or 15
    start = (local + timedelta(minutes=minutes_to_quarter)).replace(second=0, microsecond=0)
    if FIRST_START <= start.time() <= LAST_START:
        return start
    morning = start.replace(hour=8, minute=0)
    return morning if start.time() < FIRST_START else morning + timedelta(days=1)

from datetime import date, datetime, timedelta

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    HiddenField,
    IntegerField,
    SelectField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, ValidationError

from portal.base import clock
from portal.meetings.service import Details


class MeetingForm(FlaskForm):
    """One meeting of a class. `client_key` makes a double click or a second tab schedule it once."""

    client_key = HiddenField()
    class_id = SelectField(_l("Class"), [InputRequired(_l("Choose the class."))])
    title = StringField(
        _l("Title"),
        [DataRequired(_l("Write a title.")), Length(max=200, message=_l("At most 200 characters."))],
        description=_l("Learners see this title."),
    )
    day = DateField(_l("Day"), [InputRequired(_l("Choose the day."))], render_kw={"data-say-day": True})
    start = TimeField(_l("Starts"), [InputRequired(_l("Write when it starts, e.g. 8:00 AM."))])
    minutes = IntegerField(
        _l("Minutes"),
        [
            InputRequired(_l("Write how many minutes the class lasts.")),
            NumberRange(5, 720, message=_l("Between 5 and 720 minutes.")),
        ],
        default=60,
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

    def validate_day(self, field: DateField) -> None:
        if field.data and field.data > clock.today() + timedelta(days=365):
            raise ValidationError(_l("That is more than a year away. Check the year."))

    def validate_start(self, field: TimeField) -> None:
        """A class that is over already cannot be scheduled; one that has just begun can."""
        if not (self.day.data and field.data):
            return
        starts_at = clock.from_local(self.day.data, field.data)
        if starts_at + timedelta(minutes=self.minutes.data or 60) < clock.now():
            raise ValidationError(_l("That time has passed. Choose a later one."))

    def details(self) -> Details:
        """What the form says, in the service's words."""
        assert isinstance(self.day.data, date) and self.start.data  # validated
        return Details(
            title=" ".join((self.title.data or "").split()),
            description=(self.description.data or "").strip(),
            starts_at=clock.from_local(self.day.data, self.start.data),
            minutes=self.minutes.data or 60,
            audience=self.audience.data,
            host_video=self.host_video.data,
            participant_video=self.participant_video.data,
            join_before_host=self.join_before_host.data and not self.waiting_room.data,
            mute_upon_entry=self.mute_upon_entry.data,
            waiting_room=self.waiting_room.data,
            auto_recording=self.auto_recording.data,
            meeting_authentication=self.meeting_authentication.data,
            registration_type=self.registration_type.data,
            approval_type=self.approval_type.data,
        )


class CancelForm(FlaskForm):
    reason = StringField(
        _l("Reason"),
        [Optional(), Length(max=200)],
        description=_l("Kept in the history of the class, e.g. class suspension."),
    )


def suggested_start() -> datetime:
    """The next full quarter of an hour, in Manila."""
    local = clock.local(clock.now())
    rest = -local.minute % 15 or 15
    return (local + timedelta(minutes=rest)).replace(second=0, microsecond=0)

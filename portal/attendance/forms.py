from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import RadioField, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length

MARK_CHOICES = [
    SelectChoice("present", _l("Present")),
    SelectChoice("partial", _l("Partial")),
    SelectChoice("absent", _l("Absent")),
]


class MarkForm(FlaskForm):
    """One learner's mark, changed by hand."""

    mark = RadioField(_l("Change to"), [InputRequired(_l("Choose a mark."))], choices=MARK_CHOICES)
    reason = StringField(
        _l("Reason"),
        [DataRequired(_l("Write the reason, e.g. signal lost.")), Length(max=200)],
        description=_l("For example: signal lost, sent her work by chat"),
    )


class BulkForm(FlaskForm):
    """Several learners at once; the empty choice goes back to what Zoom saw."""

    who = SelectMultipleField(_l("Learners"), validate_choice=False)
    to = SelectField(
        _l("Set the selected to"),
        [InputRequired(_l("Choose a mark."))],
        choices=[
            SelectChoice("", _l("Set the selected to...")),
            *MARK_CHOICES,
            SelectChoice("zoom", _l("As Zoom saw it")),
        ],
    )
    reason = StringField(_l("Reason"), [Length(max=200)])


class ReasonForm(FlaskForm):
    reason = StringField(_l("Reason"), [DataRequired(_l("Write why the sheet is opened again.")), Length(max=200)])

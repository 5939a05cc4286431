from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString
from flask_wtf.file import FileField, FileRequired
from wtforms import RadioField, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, ValidationError

from portal.attendance.messages import mark_label
from portal.attendance.models import HAND_MARKS
from portal.core.forms import BoundedIntegerField, PortalForm

MARK_CHOICES = [SelectChoice(mark.value, LazyString(mark_label, mark)) for mark in HAND_MARKS]


class MarkForm(PortalForm):
    """One learner's mark, changed by hand."""

    mark = RadioField(_l("Change to"), [InputRequired(_l("Choose a mark."))], choices=MARK_CHOICES)
    reason = StringField(
        _l("Reason"),
        [DataRequired(_l("Write the reason, e.g. signal lost.")), Length(max=200)],
        description=_l("For example: signal lost, sent their work by chat"),
    )


BULK_CHOICES = [
    SelectChoice("", _l("Set the selected to...")),
    *MARK_CHOICES,
    SelectChoice("zoom", _l("As Zoom saw it")),
]


class BulkForm(PortalForm):
    """Several learners at once; the empty choice goes back to what Zoom saw."""

    who = SelectMultipleField(_l("Learners"), validate_choice=False)
    to = SelectField(
        _l("Set the selected to"),
        [InputRequired(_l("Choose a mark."))],
        choices=BULK_CHOICES,
    )
    reason = StringField(_l("Reason"), [Length(max=200, message=_l("At most 200 letters."))])

    def validate_reason(self, field: StringField) -> None:
        if self.to.data != "zoom" and not (field.data or "").strip():
            raise ValidationError(_("Write the reason, e.g. brownout."))


class ReasonForm(PortalForm):
    reason = StringField(
        _l("Reason"),
        [DataRequired(_l("Write why the sheet is opened again.")), Length(max=200, message=_l("At most 200 letters."))],
    )


class FileForm(PortalForm):
    """Zoom's own participants file."""

    file = FileField(
        _l("Participants file"),
        [FileRequired(_l("Choose the file that Zoom gave you."))],
        description=_l("A .csv file, as Zoom names it: participants_... or meeting_report_..."),
        render_kw={"accept": ".csv,text/csv"},
    )


class GraceForm(PortalForm):
    """Minutes of grace of a section; left empty, late and left early are not asked for."""

    minutes = BoundedIntegerField(
        _l("Minutes of grace"),
        [Optional(), NumberRange(0, 120, _l("Write a number of minutes from 0 to 120."))],
        render_kw={"min": 0, "max": 120, "inputmode": "numeric"},
    )

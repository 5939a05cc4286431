"""Forms of one learner: details, withdrawal, transfer, readmission, merge."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, EmailField, Field, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, Optional, ValidationError

from portal.accounts.email_domain import EmailDomainError, normalise_school_email
from portal.classes.learners.service import ENTERED_BY_MISTAKE, LearnerDetails
from portal.classes.lis_names import (
    EXTENSIONS,
    lis_name,
    normalise_text,
    split_lis_name,
)
from portal.classes.models import Learner
from portal.classes.roster_files.messages import problem_message_short
from portal.classes.roster_files.rows import NAME_LIMIT, RowNotes, parse_lrn_cell
from portal.core.forms import PortalForm, SchoolDateField
from portal.core.settings import current_settings

_LONG = Length(max=NAME_LIMIT, message=_l("At most 120 characters."))


def _no_comma(_form: PortalForm, field: Field) -> None:
    if "," in (field.data or ""):
        raise ValidationError(_("There is a comma inside. Put each part of the name in its own field."))


class LearnerForm(PortalForm):
    last_name = StringField(_l("Last name"), [DataRequired(_l("Write the last name.")), _LONG, _no_comma])
    first_name = StringField(_l("First name"), [DataRequired(_l("Write the first name.")), _LONG, _no_comma])
    middle_name = StringField(_l("Middle name"), [Optional(), _LONG, _no_comma])
    extension = SelectField(
        _l("Extension"),
        choices=[SelectChoice("", "-"), *(SelectChoice(word, word) for word in sorted(EXTENSIONS))],
        default="",
    )
    sex = RadioField(
        _l("Sex"),
        [InputRequired(_l("Choose male or female."))],
        choices=[SelectChoice("M", _l("Male")), SelectChoice("F", _l("Female"))],
    )
    lrn = StringField(
        _l("LRN"),
        [Optional()],
        description=_l("12 digits. Leave it empty while LIS has none: Zoom cannot register the learner until then."),
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )
    email = EmailField(
        _l("E-mail"),
        [Optional()],
        description=_l("Only if it is another than the LRN address that DepEd gives."),
        render_kw={"autocomplete": "off"},
    )

    def validate_lrn(self, field: Field) -> None:
        notes = RowNotes(0)
        lrn = parse_lrn_cell(field.data, notes, may_be_pending=True)
        if notes.problems:
            raise ValidationError(problem_message_short(notes.problems[0]))
        field.data = lrn

    def validate_email(self, field: Field) -> None:
        domains = current_settings().email_domains
        try:
            field.data = normalise_school_email(field.data or "", domains)
        except EmailDomainError:
            raise ValidationError(
                _(
                    "Only %(domains)s email addresses can join class meetings.",
                    domains=_(" or ").join(f"@{domain}" for domain in domains),
                )
            ) from None

    def details(self) -> LearnerDetails:
        """The submitted details, normalised as LIS prints them."""
        last, first, middle = (
            normalise_text(field.data or "").upper() for field in (self.last_name, self.first_name, self.middle_name)
        )
        # "EMMANUEL JR" typed among the given names is an extension, as it is in a file.
        joined_name = lis_name(last, first, "" if middle == "-" else middle, self.extension.data or "")
        name = split_lis_name(joined_name)
        return LearnerDetails(
            last_name=name.last,
            first_name=name.first,
            middle_name=name.middle,
            extension=name.extension,
            sex=self.sex.data,
            lrn=self.lrn.data or None,
            email=self.email.data or None,
        )

    def show(self, learner: Learner) -> None:
        """Fill the form with the stored details."""
        self.process(
            formdata=None,
            data={
                name: getattr(learner, name)
                for name in ("last_name", "first_name", "middle_name", "extension", "sex", "lrn", "email")
            },
        )


class NewLearnerForm(LearnerForm):
    since = SchoolDateField(
        _l("First day on the roster"),
        [InputRequired(_l("Choose the first day."))],
        description=_l("Sheets of classes held since then get a line for the learner."),
    )
    another = BooleanField(_l("It is another learner of the same name"))


class WithdrawForm(PortalForm):
    reason = RadioField(
        _l("Why"),
        [InputRequired(_l("Say why the learner leaves."))],
        choices=[
            SelectChoice("T/O", _l("Transferred out (T/O)")),
            SelectChoice("NLS", _l("No longer in school (NLS)")),
            SelectChoice(ENTERED_BY_MISTAKE, _l("Never in this section: entered by mistake")),
        ],
    )
    last_day = SchoolDateField(
        _l("Last day on the roster"),
        [InputRequired(_l("Choose the last day."))],
        description=_l(
            "From the next day on the learner is on no sheet, and the registrations with Zoom are cancelled."
        ),
    )
    detail = StringField(
        _l("To which school, or for what reason"),
        [Optional(), Length(max=120, message=_l("At most 120 characters."))],
        description=_l("SF2 asks for it among its remarks: the name of the school, or the reason in a few words."),
    )


class TransferForm(PortalForm):
    target = SelectField(_l("New section"), [InputRequired(_l("Choose the new section."))])
    since = SchoolDateField(
        _l("First day there"),
        [InputRequired(_l("Choose the first day in the new section."))],
        description=_l("The day before is the last one here. Past days can be chosen: sheets follow."),
    )
    detail = StringField(_l("Reason"), [Optional(), Length(max=120, message=_l("At most 120 characters."))])


class ReadmitForm(PortalForm):
    since = SchoolDateField(_l("First day on the roster again"), [InputRequired(_l("Choose the first day."))])


class MergeForm(PortalForm):
    other = SelectField(_l("The same learner as"), [InputRequired(_l("Choose the other entry."))])
    lrn = RadioField(
        _l("If both have an LRN, keep"),
        choices=[
            SelectChoice("this", _l("The LRN of this entry")),
            SelectChoice("other", _l("The LRN of the other entry")),
        ],
        default="this",
        description=_l("In LIS the older one stays."),
    )
    sure = BooleanField(
        _l("They are one child"),
        [InputRequired(_l("Check both entries, then tick this: it cannot be undone."))],
        description=_l("Two entries become one. This cannot be undone."),
    )

"""Forms of accounts: signing in, one-time codes, account requests, passwords, roles and invitations."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from flask_wtf.file import FileField
from wtforms import BooleanField, EmailField, Field, HiddenField, PasswordField, RadioField, StringField, TextAreaField
from wtforms.validators import EqualTo, InputRequired, Length, Regexp, StopValidation, ValidationError

from portal.accounts.email_domain import EmailDomainError, normalise_school_email
from portal.accounts.sign_in import passwords
from portal.core.forms import FileOrTextMixin, PortalForm
from portal.core.settings import current_settings

WEAK = {
    "short": _l("The password needs at least 12 characters. Three or four unrelated words are good."),
    "long": _l("The password can have at most 256 characters."),
    "common": _l("This password is easy to guess: well-known words, dates or keys in a row. Take unrelated words."),
    "personal": _l("This password is easy to guess: it is made of your name, address or school. Take other words."),
}
SCHOOL_ID = Regexp(r"^(?:[0-9]{6})?\Z", message=_l("The school ID has 6 digits."))


def validate_password_strength(form: "NewPasswordForm", field: Field) -> None:
    """Validator: refuse passwords that are easy to guess for this person."""
    reason = passwords.password_weakness(field.data or "", *form.about)
    if reason:
        raise StopValidation(WEAK[reason])


def validate_school_email(_form: PortalForm, field: Field) -> None:
    """Validator: refuse addresses outside the allowed domains, so that the error is shown with those of other
    fields."""
    settings = current_settings()
    try:
        normalise_school_email(field.data or "", settings.email_domains)
    except EmailDomainError as error:
        domains = _(" or ").join(f"@{domain}" for domain in error.domains)
        raise ValidationError(_("Only addresses at %(domains)s can have an account.", domains=domains)) from error


def _email_field(autocomplete: str = "username") -> EmailField:
    return EmailField(
        _l("DepEd e-mail"),
        [InputRequired(_l("Write your DepEd e-mail address.")), Length(max=254)],
        render_kw={"autocomplete": autocomplete},
    )


class SignInForm(PortalForm):
    again = HiddenField()  # the encrypted form of an expired session, see `resubmit`
    email = _email_field()
    password = PasswordField(
        _l("Password"),
        [InputRequired(_l("Write your password.")), Length(max=256)],
        render_kw={"autocomplete": "current-password"},
    )
    remember = BooleanField(
        _l("Keep me signed in on this phone"),
        description=_l("For 30 days. Leave it off on a shared computer."),
    )


class CodeForm(PortalForm):
    code = StringField(
        _l("Code"),
        [InputRequired(_l("Write the code from your app.")), Length(max=20)],
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric", "autocapitalize": "none"},
    )


class SignInCodeForm(CodeForm):
    again = HiddenField()


class SetUpCodesForm(CodeForm):
    secret = HiddenField()  # encrypted


class SsoAccountRequestForm(PortalForm):
    """Account request after sign-in with Google or Microsoft, which verified the address."""

    full_name = StringField(
        _l("Your name"),
        [InputRequired(_l("Write your name.")), Length(max=120)],
        render_kw={"autocomplete": "name"},
    )
    school = StringField(
        _l("School ID"),
        [InputRequired(_l("Write your school's ID.")), SCHOOL_ID],
        description=_l("6 digits, as on School Form 1."),
        render_kw={"inputmode": "numeric"},
    )


class AccountRequestForm(SsoAccountRequestForm):
    email = _email_field("email")


class ForgotPasswordForm(PortalForm):
    email = _email_field()


class NewPasswordForm(PortalForm):
    """`about`, set by the route, are words that anybody could guess for this person."""

    about: tuple[str, ...] = ()
    token = HiddenField()
    password = PasswordField(
        _l("New password"),
        [InputRequired(_l("Write a new password.")), validate_password_strength],
        description=_l("At least 12 characters. Three or four unrelated words are good."),
        render_kw={"autocomplete": "new-password"},
    )
    again = PasswordField(
        _l("The same again"),
        [EqualTo("password", _l("The two passwords are not the same."))],
        render_kw={"autocomplete": "new-password"},
    )


class TokenForm(PortalForm):
    """The button of a one-time link, and its token."""

    token = HiddenField()


def _current_password_field() -> PasswordField:
    return PasswordField(
        _l("Your password now"),
        [InputRequired(_l("Write your password.")), Length(max=256)],
        render_kw={"autocomplete": "current-password"},
    )


class NameForm(PortalForm):
    full_name = StringField(
        _l("Your name"), [InputRequired(_l("Write your name.")), Length(max=120)], render_kw={"autocomplete": "name"}
    )


class ChangePasswordForm(NewPasswordForm):
    token = None
    current = _current_password_field()


class ChangeAddressForm(PortalForm):
    email = EmailField(
        _l("New DepEd e-mail"),
        [InputRequired(_l("Write the new address.")), Length(max=254), validate_school_email],
        render_kw={"autocomplete": "email"},
    )
    current = _current_password_field()


class CurrentPasswordForm(PortalForm):
    current = _current_password_field()


ROLES = [
    ("teacher", _l("Teacher")),
    ("school", _l("Admin of the school")),
    ("division", _l("Admin of the division")),
    ("region", _l("Admin of the region")),
]


class RoleForm(PortalForm):
    role = RadioField(_l("Role"), default="teacher")
    school = StringField(
        _l("School ID"),
        [SCHOOL_ID],
        description=_l("6 digits, as on School Form 1. Only an admin of the region may have none."),
        render_kw={"inputmode": "numeric"},
    )

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        highest = [name for name, _label in ROLES].index(current_user.scope)
        self.role.choices = ROLES[: highest + 1]

    @property
    def scope(self) -> str | None:
        """The chosen admin scope; None for a teacher."""
        return None if self.role.data == "teacher" else str(self.role.data)


class InviteForm(RoleForm):
    full_name = StringField(_l("Name"), [InputRequired(_l("Write the person's name.")), Length(max=120)])
    email = EmailField(
        _l("DepEd e-mail"), [InputRequired(_l("Write the address.")), Length(max=254), validate_school_email]
    )


class UsersFileForm(FileOrTextMixin, PortalForm):
    file = FileField(
        _l("CSV file"),
        description=_l("With the columns email, name, role, scope and school id."),
        render_kw={"accept": ".csv,.tsv,.txt"},
    )
    pasted = TextAreaField(_l("Paste the rows"), [Length(max=100_000)], render_kw={"rows": 4})

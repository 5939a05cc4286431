"""Base class of all forms, with WTForms' own messages translated, and shared field types."""

from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from wtforms import DateField, IntegerField
from wtforms.form import BaseForm
from wtforms.validators import StopValidation

# WTForms has no Filipino translation. Messages not listed here are shown as WTForms words them.
_WTFORMS_MESSAGES = {
    "This field is required.": _l("This is still empty."),
    "Not a valid choice.": _l("Choose one from the list."),
    "Not a valid choice": _l("Choose one from the list."),
    "Invalid Choice: could not coerce.": _l("Choose one from the list."),
    "Not a valid date value.": _l("Write a date, e.g. 2026-11-03."),
    "Not a valid time value.": _l("Write a time, e.g. 08:00."),
    "Not a valid integer value.": _l("Write a whole number."),
}
_TOO_LONG = "Field cannot be longer than %(max)d character."


class _FormTranslations:
    """The translations object that WTForms asks for."""

    def gettext(self, text: str) -> str:
        return str(_WTFORMS_MESSAGES.get(text, text))

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        if singular == _TOO_LONG:
            return ngettext("At most %(num)d character.", "At most %(num)d characters.", number)
        return singular if number == 1 else plural


class PortalForm(FlaskForm):
    """Base class of the portal's forms."""

    class Meta(FlaskForm.Meta):
        def get_translations(self, _form: FlaskForm) -> _FormTranslations:
            return _FormTranslations()


class BoundedIntegerField(IntegerField):
    """An integer field of at most nine digits, for minutes, dates and the like: Python's integers are unbounded, but
    its dates and database integers are not."""

    MOST_DIGITS = 9
    data: int | None

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist and len(valuelist[0].strip()) > self.MOST_DIGITS:
            self.data = None
            raise ValueError(self.gettext("Not a valid integer value."))
        super().process_formdata(valuelist)

    def pre_validate(self, form: BaseForm) -> None:
        """After a parse error skip the other validators; an empty value is left to them."""
        if self.process_errors and self.raw_data and self.raw_data[0].strip():
            raise StopValidation


class SchoolDateField(DateField):
    """A date field limited to 2000-2100: years like 1 and 9999 are typing errors, and overflow in date arithmetic."""

    YEARS = range(2000, 2101)
    data: date | None

    def process_formdata(self, valuelist: list[str]) -> None:
        super().process_formdata(valuelist)
        if self.data and self.data.year not in self.YEARS:
            self.data = None
            raise ValueError(str(_l("Check the year: it has to be between 2000 and 2100.")))


class FileOrTextMixin:
    """For a form with `file` and `pasted`: the rows are uploaded or pasted."""

    file: Any
    pasted: Any

    def content(self) -> bytes:
        """The submitted bytes; empty if there are none."""
        if self.file.data and self.file.data.filename:
            return bytes(self.file.data.read())
        return (self.pasted.data or "").encode()

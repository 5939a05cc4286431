"""Forms of sections, classes and roster uploads."""

from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField
from wtforms import SelectMultipleField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional
from wtforms.widgets import CheckboxInput

from portal.core.forms import PortalForm

PASTED = "pasted.tsv"  # the name of pasted rows


class SectionNameForm(PortalForm):
    name = StringField(
        _l("Section"),
        [DataRequired(_l("Write the name of the section.")), Length(max=80)],
        description=_l("For example Jadeite"),
    )


class SectionForm(SectionNameForm):
    grade_level = StringField(
        _l("Grade level"),
        [DataRequired(_l("Write the grade level, e.g. Grade 8.")), Length(max=40)],
        description=_l("As on your School Form 1, e.g. Grade 8"),
    )


class ClassForm(PortalForm):
    subject = StringField(
        _l("Subject"),
        [DataRequired(_l("Write the subject you teach.")), Length(max=80)],
        description=_l("For example Science 8"),
    )


class SchoolYearForm(PortalForm):
    sections = SelectMultipleField(
        _l("Sections"), [DataRequired(_l("Choose at least one section."))], option_widget=CheckboxInput()
    )


class RosterForm(PortalForm):
    grade_level = StringField(
        _l("Grade level"),
        [Optional(), Length(max=40)],
        description=_l("Only where the file or the pasted rows have none"),
    )
    name = StringField(_l("Section"), [Optional(), Length(max=80)], description=_l("For example Jadeite"))
    file = FileField(
        _l("Roster file"),
        description=_l("School Form 1 as downloaded from LIS (.xls or .xlsx), or a CSV file"),
        render_kw={"accept": ".xls,.xlsx,.csv,.tsv,.txt"},
    )
    pasted = TextAreaField(
        _l("Paste from a spreadsheet"),
        [Length(max=200_000)],
        description=_l("With the header row: LRN, LastName, FirstName, MiddleName, Extension, Sex"),
        render_kw={"rows": 4},
    )

    def content(self) -> tuple[bytes, str] | None:
        """The uploaded bytes and file name, or the pasted text; None if neither was given."""
        if self.file.data and self.file.data.filename:
            return self.file.data.read(), self.file.data.filename
        if self.pasted.data and self.pasted.data.strip():
            return self.pasted.data.encode(), PASTED
        return None

    def has_file_and_rows(self) -> bool:
        """True if a file was chosen and rows were pasted too: one of them would be lost."""
        return bool(self.file.data and self.file.data.filename and self.pasted.data and self.pasted.data.strip())

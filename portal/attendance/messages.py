"""Messages: translated sentences for this package's codes."""

from typing import Protocol

from jinja2 import pass_context
from jinja2.runtime import Context

from portal.attendance.codes import FileErrorCode, Mark, ReportError
from portal.attendance.evidence.participants_csv import FileProblem
from portal.core.translations import N_, ngettext
from portal.core.translations import gettext as _
from portal.meetings import messages as meeting_words

_MARK_LABELS = {
    Mark.PENDING: N_("Not known yet"),
    Mark.PRESENT: N_("Present"),
    Mark.PARTIAL: N_("Partial"),
    Mark.ABSENT: N_("Absent"),
    Mark.NEEDS_REVIEW: N_("Needs review"),
}


def mark_label(mark: str) -> str:
    """The label of a mark, the same on every page; `mark` is a `Mark` or its value."""
    return _(_MARK_LABELS[Mark(mark)])


class HasMarkCounts(Protocol):
    """Anything that has the number of each mark."""

    @property
    def present(self) -> int: ...
    @property
    def partial(self) -> int: ...
    @property
    def absent(self) -> int: ...
    @property
    def needs_review(self) -> int: ...
    @property
    def pending(self) -> int: ...


def mark_counts_message(counts: HasMarkCounts) -> str:
    """ "39 present, 4 partial": also for screen readers, which do not see the bar."""
    sentences = [
        ngettext("%(num)d present", "%(num)d present", counts.present) if counts.present else "",
        ngettext("%(num)d partial", "%(num)d partial", counts.partial) if counts.partial else "",
        ngettext("%(num)d absent", "%(num)d absent", counts.absent) if counts.absent else "",
        ngettext("%(num)d needs review", "%(num)d need review", counts.needs_review) if counts.needs_review else "",
        ngettext("%(num)d not known yet", "%(num)d not known yet", counts.pending) if counts.pending else "",
    ]
    return ", ".join(filter(None, sentences)) or _("no marks yet")


@pass_context  # without it Jinja evaluates the filter of a constant once, in the language of the first reader
def mark_label_filter(_context: Context, mark: str) -> str:
    """`mark_label` for templates."""
    return mark_label(mark)


def report_error_message(code: str | None) -> str:
    """Why Zoom's report is missing, and the consequence."""
    messages: dict[str | None, str] = {
        ReportError.NOT_READY: _("Zoom has not made its report of this class yet."),
        ReportError.EMPTY_REPORT: _(
            "Zoom's report is empty, as it is where fewer than two people were in. The marks rest on what Zoom told "
            "during the class."
        ),
        ReportError.NO_INSTANCE: _("Zoom knows of no class at this time: nobody opened the meeting."),
        ReportError.HOST_UNLICENSED: _("Zoom gives no report to an account without a paid plan."),
        ReportError.NOT_AUTHORISED: _(
            "The portal may not read Zoom's reports. Your ICT coordinator adds the missing scope to the Zoom app."
        ),
    }
    return messages[code] if code in messages else meeting_words.meeting_error_message(code)


def file_problem_message(problem: FileProblem) -> str:
    """What is wrong with an uploaded file or with one of its rows."""
    messages = {
        FileErrorCode.EMPTY: _("The file is empty."),
        FileErrorCode.NOT_TEXT: _("This is not a text file. Choose the .csv file that Zoom gave you."),
        FileErrorCode.EXCEL: _(
            "This is an Excel file. Choose the .csv file as Zoom gave it, or save the sheet as CSV."
        ),
        FileErrorCode.TOO_LARGE: _("The file is over 2 MB: this cannot be the participants of one class."),
        FileErrorCode.TOO_LONG: _("The file has over 5,000 lines: this cannot be the participants of one class."),
        FileErrorCode.NO_COLUMNS: _(
            "No line of the file names its columns. A participants file has “Name” and “Join Time”, or “Name” and "
            "“Duration”."
        ),
        FileErrorCode.NO_ROWS: _("The file lists nobody."),
        FileErrorCode.BAD_TIME: _(
            "Line %(line)s: “%(what)s” is no time that we can read.", line=problem.line, what=problem.what
        ),
        FileErrorCode.BAD_MINUTES: _(
            "Line %(line)s: “%(what)s” is no number of minutes.", line=problem.line, what=problem.what
        ),
    }
    return messages[problem.code]

"""Codes of this package as sentences for the page."""

from flask_babel import gettext as _

from portal.attendance.evidence.participants_csv import FileProblem
from portal.meetings import messages as meeting_words


def report_error_message(code: str | None) -> str:
    """Why Zoom's report is not in, and what that means."""
    words = {
        "not ready": _("Zoom has not made its report of this class yet."),
        "empty report": _(
            "Zoom's report is empty, as it is where fewer than two people were in. The marks rest on what Zoom told "
            "during the class."
        ),
        "no running": _("Zoom knows of no class at this time: nobody opened the meeting."),
        "host not licensed": _("Zoom gives no report to an account without a paid plan."),
        "not authorised": _(
            "The portal may not read Zoom's reports. Your ICT coordinator adds the missing scope to the Zoom app."
        ),
    }
    return words[code] if code in words else meeting_words.meeting_error_message(code)


def file_problem_message(problem: FileProblem) -> str:
    """What is wrong with an uploaded file or one of its lines."""
    words = {
        "empty": _("The file is empty."),
        "not text": _("This is not a text file. Choose the .csv file that Zoom gave you."),
        "excel": _("This is an Excel file. Choose the .csv file as Zoom gave it, or save the sheet as CSV."),
        "too large": _("The file is over 2 MB: this cannot be the participants of one class."),
        "too long": _("The file has over 5,000 lines: this cannot be the participants of one class."),
        "no columns": _(
            "No line of the file names its columns. A participants file has “Name” and “Join Time”, or “Name” and "
            "“Duration”."
        ),
        "no rows": _("The file lists nobody."),
        "bad time": _("Line %(line)s: “%(what)s” is no time that we can read.", line=problem.line, what=problem.what),
        "bad minutes": _("Line %(line)s: “%(what)s” is no number of minutes.", line=problem.line, what=problem.what),
    }
    return words[problem.code]

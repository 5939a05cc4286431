"""Messages of roster problems by code: what is wrong, in which row, and how to correct it."""

from flask_babel import gettext

from portal.classes.roster_files.rows import RosterFileError, RowProblem
from portal.core.translations import N_

SENTENCES: dict[str, str] = {
    # problems that block the import
    "lrn_missing": N_("The LRN is missing. Add the 12 digits, or write Pending in REMARKS."),
    "lrn_scientific": N_(
        "%(value)s is an LRN that Excel shortened, and its last digits are lost. "
        "Format the column as text and type the LRN again."
    ),
    "lrn_length": N_(
        "%(value)s has %(digits)s digits and an LRN has 12. If a zero in front was dropped, "
        "format the column as text and type the LRN again."
    ),
    "lrn_letters": N_("%(value)s holds something other than digits. An LRN is 12 digits."),
    "lrn_twice": N_("LRN %(value)s also stands in row %(first)s. Correct one of them, or remove the repeated row."),
    "name_missing": N_("The name is missing. Add it."),
    "name_comma": N_("%(value)s has no comma. Write the name as LAST NAME, FIRST NAME, MIDDLE NAME."),
    "name_comma_inside": N_("There is a comma inside a name. Put each part of the name in its own column."),
    "cell_long": N_("The cell is longer than %(limit)s characters, which no learner needs. Shorten it."),
    "name_broken": N_(
        "%(value)s has letters that were broken when the file was saved. Write the name again; from Excel, save as "
        "“CSV UTF-8”."
    ),
    "name_sign": N_(
        "“%(sign)s” is not in any name. A name has letters, blanks, apostrophes, hyphens and dots. Write it without."
    ),
    "name_half": N_("The last name or the first name is missing. Write it as LAST NAME, FIRST NAME, MIDDLE NAME."),
    "name_long": N_("A part of the name is longer than %(limit)s characters. Shorten it."),
    "extension_unknown": N_("%(value)s is not a name extension. Use JR, SR, II, III, IV, V or VI."),
    "remark_no_day": N_("The remark says %(remark)s and no day that can be read. Write the last day."),
    "remark_other_year": N_("%(day)s is not in the school year %(year)s. Write the last day."),
    "sex_missing": N_("The sex is missing. Write M or F."),
    "sex_unknown": N_("%(value)s is neither M nor F. Write M or F."),
    "sex_conflict": N_("It says %(sex)s, but the row stands among the learners counted as %(block)s. Correct it."),
    "email_long": N_("The address is longer than %(limit)s characters. Check it."),
    "cells_extra": N_(
        "There are more cells than the %(expected)s columns in the first line. "
        "A comma inside a name does this: put the name in quotes."
    ),
    # problems of the whole file
    "total_differs": N_(
        "The form says %(stated)s, but %(found)s were found. A row was added or lost: "
        "download School Form 1 from the LIS again, or correct the total."
    ),
    "other_school": N_(
        "The form is of school %(file)s, and your school is %(school)s. Choose the School Form 1 of your school."
    ),
    "other_section": N_("The form is of section %(file)s, and this is %(section)s. Choose the form of this section."),
    "other_year": N_("The form is of school year %(file)s, and the section of %(year)s. Choose this year's form."),
    "year_over": N_("The school year %(year)s is over: its rosters can only be read. Choose this year's form."),
    "no_section": N_("The file names no section. Write grade and section below, and check again."),
    "lrn_of_other_school": N_(
        "LRN %(lrn)s belongs to a learner of another school here. Check the LRN; if it is right, ask your admin."
    ),
    "lrn_of_another": N_(
        "LRN %(lrn)s belongs to a learner of your school with another name. Check the LRN and the name; if both are "
        "right, ask that learner's adviser or your admin to correct the name first."
    ),
    # warnings
    "lrn_pending": N_("No LRN yet. The learner is kept, and is not registrable until the LRN is known."),
    "name_twice": N_("The same name stands in row %(first)s with another LRN. Check whether it is one learner."),
    "email_twice": N_(
        "The same address stands in row %(first)s. Each learner needs one of their own to be known in Zoom."
    ),
    "email_outside": N_(
        "%(value)s is left out: only %(domains)s addresses can join class meetings. The learner is kept and joins with "
        "the address known here, else with %(instead)s. To change that, write a school address in the file."
    ),
    "email_outside_pending": N_(
        "%(value)s is left out: only %(domains)s addresses can join class meetings. The learner is kept, and is "
        "registrable as soon as the LRN is known. Until then, write a school address in the file."
    ),
    "remark_date": N_("A date in the remark cannot be read, so it was left out."),
    "remark_may_leave": N_(
        "The remark may say that the learner left, but has no code of the form. The learner stays; if gone, write the "
        "code and the last day."
    ),
    "left_before": N_("Left on %(day)s. The file has the learner without a remark of leaving: saving puts them back."),
    "row_ignored": N_("“%(value)s” does not look like a learner, so the row was passed over."),
    "totals_missing": N_("The form prints no totals to compare with. Count the learners before you confirm."),
    "sheet_not_read": N_("The sheet “%(sheet)s” also has an LRN column and was not read. Import it on its own."),
    # files that cannot be parsed at all
    "empty": N_("The file is empty. Choose the School Form 1 from the LIS or the filled-in template."),
    "too_large": N_("The file is over %(limit)s MB, too large for a roster. Choose the School Form 1 of one section."),
    "not_spreadsheet": N_("This is not a spreadsheet. Choose the School Form 1 from the LIS, an Excel file or a CSV."),
    "web_page": N_(
        "This is a web page with the name of a spreadsheet. Open it in Excel, save it as an "
        "Excel workbook (.xlsx) and choose that file."
    ),
    "text_named_workbook": N_(
        "The name ends in %(suffix)s, but inside is plain text. Change the ending to .csv and choose it again."
    ),
    "macros": N_(
        "The file holds macros, and files with macros are not opened here. Save it as an "
        "Excel workbook (.xlsx) and choose that file."
    ),
    "encrypted": N_("The file is locked with a password. Save it without one and choose it again."),
    "old_excel": N_("The file comes from a very old Excel. Save it as an Excel workbook (.xlsx) and choose that file."),
    "damaged": N_("The file is damaged and cannot be read. Download or save it again and choose the new one."),
    "zip_too_big": N_(
        "The file unpacks to far more than a roster holds, so it was not opened. "
        "Copy the learners into a new workbook and choose that file."
    ),
    "zip_nested": N_(
        "There is another file inside this one. Copy the learners into a new workbook and choose that file."
    ),
    "too_costly": N_(
        "The file asks for more time or memory than any roster needs, so it was not read. "
        "Copy the learners into a new workbook and choose that file."
    ),
    "reader_busy": N_("Other files are being read just now. Nothing was changed: try again in a minute."),
    "sheet_size": N_(
        "The sheet has cells beyond %(rows)s rows or %(columns)s columns. Delete what is not the roster, "
        "save it and choose it again."
    ),
    "header_missing": N_(
        "No column is headed LRN in the first rows. Choose the School Form 1 as the LIS gives it, or use the template."
    ),
    "columns_missing": N_("These columns are missing: %(columns)s. Add them to the first line, as in the template."),
    "column_twice": N_("The column %(column)s is there twice. Keep one and choose the file again."),
    "no_learners": N_("There is no learner in the file. Check that this is the right section."),
    "encoding": N_(
        "Line %(line)s has a letter that cannot be read for sure. Save the file as “CSV UTF-8” and choose it again."
    ),
    "csv_quotes": N_(
        "The quotes beginning near line %(line)s do not match. Check that line and choose the file again."
    ),
}


def problem_message(problem: RowProblem | RosterFileError) -> str:
    """The translated message of a problem, with its row and column."""
    sentence = gettext(SENTENCES[problem.code], **problem.params)
    if isinstance(problem, RosterFileError) or (problem.row is None and problem.column is None):
        return sentence
    if problem.column is None:
        return gettext("Row %(row)s: %(sentence)s", row=problem.row, sentence=sentence)
    return gettext("Row %(row)s, %(column)s: %(sentence)s", row=problem.row, column=problem.column, sentence=sentence)


def problem_message_short(problem: RowProblem) -> str:
    """The translated message without row and column, for use beside a form field."""
    return gettext(SENTENCES[problem.code], **problem.params)

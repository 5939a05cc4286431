"""Corrections on the check page of an undecided roster import."""

from collections.abc import Mapping

from portal.classes.codes import ImportState
from portal.classes.models import RosterImport
from portal.classes.roster_files.corrections import (
    RowCorrection,
    correct_rows,
    name_section,
)
from portal.classes.roster_files.reader import roster_file_from_json, roster_file_to_json
from portal.core.db import write_transaction


def correct_roster_import(
    upload: RosterImport,
    corrections: Mapping[int, RowCorrection],
    *,
    grade_level: str,
    section: str,
    domains: tuple[str, ...],
) -> None:
    """Store the corrected rows, and the section where the file names none; nothing is saved of the roster yet. Without
    effect on an import that is decided already."""
    with write_transaction() as session:
        session.refresh(upload, with_for_update=True)
        if upload.state != ImportState.PREVIEW or upload.preview_rows is None:
            return
        file = correct_rows(roster_file_from_json(upload.preview_rows), corrections, domains=domains)
        if upload.section_id is None:
            file = name_section(file, grade_level, section)
        upload.preview_rows = roster_file_to_json(file)

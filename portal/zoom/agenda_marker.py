"""Marker at the start of a meeting's agenda, by which a meeting is found whose create request timed out.

It comes first because Zoom's list of meetings truncates the agenda at 250 characters.
"""

import re

AGENDA_LIMIT = 2000
_MARKER = re.compile(r"\s*\[silid:([A-Za-z0-9-]{1,64})\] ?")
_CLEAN = re.compile(r"[A-Za-z0-9-]{1,64}")


def add_agenda_marker(marker: str, text: str) -> str:
    """Return an agenda of at most 2,000 characters that starts with ``[silid:<marker>]``.

    A marker already in ``text`` is replaced. Raises ValueError for a marker other than letters, digits and hyphens.
    """
    if not _CLEAN.fullmatch(marker):
        raise ValueError("a marker is 1 to 64 letters, digits and hyphens")
    return f"[silid:{marker}] {strip_agenda_marker(text)}".rstrip()[:AGENDA_LIMIT]


def find_agenda_marker(agenda: str | None) -> str | None:
    """Return the marker an agenda starts with, or None."""
    match = _MARKER.match(agenda or "")
    return match.group(1) if match else None


def strip_agenda_marker(agenda: str | None) -> str:
    """Return the agenda without its marker."""
    return _MARKER.sub("", agenda or "", count=1) if find_agenda_marker(agenda) else (agenda or "")

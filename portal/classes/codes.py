"""Codes of roster imports: the status of a row and the state of an upload."""

from enum import StrEnum


class RosterChange(StrEnum):
    """What an import does to one learner, as the check page shows it."""

    NEW = "new"
    SAME = "same"
    CHANGED = "changed"
    MOVES_HERE = "moves_here"
    LEAVES = "leaves"
    LEFT = "left"
    BAD = "bad"


class ImportState(StrEnum):
    """State of an uploaded roster."""

    PREVIEW = "preview"
    CONFIRMED = "confirmed"
    DISCARDED = "discarded"
    UNDONE = "undone"

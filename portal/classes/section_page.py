"""What the page of a section shows: its roster by sex, and what the viewer can do with it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _


@dataclass(frozen=True)
class RosterGroup:
    """The males or the females of a roster."""

    title: str
    lines: tuple[Any, ...]


@dataclass(frozen=True)
class SectionPage:
    """The page. `can_change`: the roster; `can_open_class`: a subject of one's own; `can_see_forms`: School Form 2."""

    can_change: bool
    can_rename: bool
    can_open_class: bool
    can_see_forms: bool
    subject_label: str
    without_class: str
    without_learners: tuple[str, str]
    learners: int
    without_lrn: int
    groups: tuple[RosterGroup, ...]


def build_section_page(
    roster: Sequence[Any],
    *,
    is_past: bool,
    is_deleted: bool,
    has_classes: bool,
    can_manage: bool,
    is_admin: bool,
    can_view_learners: bool,
) -> SectionPage:
    """The page of a section with a roster, whose lines have `sex` and `lrn`. An admin opens classes for nobody, and
    division and region see the form, but do not change the roster. `is_deleted`: its attendance and roster were."""
    can_change = can_manage and not is_past
    groups = (
        RosterGroup(title, tuple(line for line in roster if line.sex == sex))
        for sex, title in (("M", _("Male")), ("F", _("Female")))
    )
    return SectionPage(
        can_change=can_change,
        can_rename=can_manage and not is_deleted,
        can_open_class=can_change and not is_admin,
        can_see_forms=bool(roster) and (can_manage or not can_view_learners),
        subject_label=_("Another subject") if has_classes else _("What you teach here"),
        without_class=_("There was no class.") if is_past else _("No class yet. The adviser opens the first one."),
        without_learners=_without_learners(is_past=is_past, can_manage=can_manage),
        learners=len(roster),
        without_lrn=sum(line.lrn is None for line in roster),
        groups=tuple(group for group in groups if group.lines),
    )


def _without_learners(*, is_past: bool, can_manage: bool) -> tuple[str, str]:
    """What is said of an empty roster: a heading, and what to do."""
    if is_past:
        return _("No learners"), _("Nobody was on this roster.")
    if can_manage:
        return _("No learners yet"), _(
            "Bring in the School Form 1 of this section, or paste the names from a spreadsheet."
        )
    return _("No learners yet"), _("The adviser of this section brings in the roster.")

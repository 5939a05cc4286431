"""What the page of a class shows: its running, coming and past dates, and what the viewer can do. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask_babel import gettext as _

from portal.attendance.codes import SheetState
from portal.attendance.sheet.queries import SheetSummary
from portal.core.date_format import format_day
from portal.meetings.codes import MeetingState
from portal.meetings.queries import OccurrenceRow
from portal.web.links import Link, link_to

SHOWN_AT_ONCE = 6  # dates of a list; the others are folded
NEVER_HELD = (MeetingState.CANCELLED, MeetingState.DELETED, MeetingState.FAILED)
OVER = (MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED)


@dataclass(frozen=True)
class ClassDescription:
    """The class itself. `is_open`: not closed, and of a school year that is not over."""

    teacher: str
    co_teachers: Sequence[str]
    is_closed: bool
    is_open: bool


@dataclass(frozen=True)
class PastDate:
    """A past date: its sheet, or its title where there was no class. `counted` is a sheet that has marks, `told` what
    is said without one."""

    starts_at: datetime
    text: str
    link: Link | None
    counted: SheetSummary | None
    told: str
    stamp: str
    stamp_words: str


@dataclass(frozen=True)
class ClassPage:
    """The page. The lists are split into those shown at once and those folded."""

    teachers: str
    can_manage: bool
    can_schedule: bool
    can_hand_out_links: bool
    has_dates: bool
    is_closed: bool
    current: tuple[OccurrenceRow, ...]
    coming: tuple[OccurrenceRow, ...]
    coming_later: tuple[OccurrenceRow, ...]
    past: tuple[PastDate, ...]
    past_earlier: tuple[PastDate, ...]


def build_class_page(
    described: ClassDescription,
    coming: Sequence[OccurrenceRow],
    begun: Sequence[OccurrenceRow],
    sheets: Mapping[UUID, SheetSummary],
    *,
    can_manage: bool,
    can_view_learners: bool,
    now: datetime,
) -> ClassPage:
    """The page of a class with its dates to come, soonest first, and those whose time has come, newest first."""
    # A class that has begun, or could begin this minute, is neither coming nor past.
    current = tuple(row for row in begun if row.ends_at > now and row.shown_state not in OVER)
    past = tuple(_past_date(row, sheets.get(row.occurrence_id)) for row in begun if row not in current)
    teachers = [described.teacher]
    if described.co_teachers:
        teachers.append(_("with %(names)s", names=", ".join(described.co_teachers)))
    return ClassPage(
        teachers=", ".join(teachers),
        can_manage=can_manage,
        can_schedule=can_manage and described.is_open,
        can_hand_out_links=can_manage and can_view_learners,
        has_dates=bool(coming or begun),
        is_closed=described.is_closed,
        current=current,
        coming=tuple(coming[:SHOWN_AT_ONCE]),
        coming_later=tuple(coming[SHOWN_AT_ONCE:]),
        past=past[:SHOWN_AT_ONCE],
        past_earlier=past[SHOWN_AT_ONCE:],
    )


def _past_date(row: OccurrenceRow, sheet: SheetSummary | None) -> PastDate:
    was_held = row.shown_state not in NEVER_HELD
    counted = sheet if sheet and sheet.total > sheet.pending else None
    stamp, words = _stamp(row, sheet)
    return PastDate(
        starts_at=row.starts_at,
        text=_("Sheet of %(day)s", day=format_day(row.starts_at)) if was_held else row.title,
        link=link_to("attendance.show_sheet", occurrence_id=row.occurrence_id) if was_held else None,
        counted=counted,
        told=_("Zoom has not told us of this class") if was_held and not counted else "",
        stamp=stamp,
        stamp_words=words,
    )


def _stamp(row: OccurrenceRow, sheet: SheetSummary | None) -> tuple[str, str]:
    """The state, and words in place of its own."""
    if row.shown_state in NEVER_HELD:
        return row.shown_state, ""
    if sheet is None:
        return SheetState.NOT_STARTED, _("No class seen yet")
    is_known = sheet.state not in (SheetState.NOT_STARTED, SheetState.LIVE)
    return sheet.state if is_known else SheetState.NOT_STARTED, ""

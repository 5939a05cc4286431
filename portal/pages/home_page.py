"""What a teacher's home shows: the class that runs, the next one, what needs them, today and tomorrow. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.attendance.codes import SheetState
from portal.attendance.sheet.queries import SheetSummary
from portal.core import clock
from portal.core.date_format import format_datetime, format_day, format_time
from portal.meetings.codes import MeetingState
from portal.meetings.queries import OccurrenceRow
from portal.registration.queries import RegistrationProgress
from portal.web.links import Link, link_to

LIVE_SHOWN_LARGE = 3
MOST_TASKS = 5
COUNTDOWN_FROM = 90  # minutes


@dataclass(frozen=True)
class HomeViewer:
    """Who looks. `has_school`: an admin's scope may be empty of schools."""

    full_name: str
    is_admin: bool
    has_school: bool


@dataclass(frozen=True)
class TodaysDates:
    """Today's dates, sorted. `upcoming` is the next to begin, `later` are all but that one and those live."""

    live: tuple[OccurrenceRow, ...]
    upcoming: OccurrenceRow | None
    later: tuple[OccurrenceRow, ...]
    tomorrow: tuple[OccurrenceRow, ...]

    @property
    def is_idle(self) -> bool:
        return not (self.live or self.upcoming)


@dataclass(frozen=True)
class HomeData:
    """What was loaded. `recent` are the dates of the last two weeks, newest first; sheets are by date, registrations by
    meeting; `next_one` and `day_off` are wanted on an idle day only; `blocked` says why nothing goes to Zoom."""

    dates: Sequence[OccurrenceRow]
    recent: Sequence[OccurrenceRow]
    sheets: Mapping[UUID, SheetSummary]
    registrations: Mapping[UUID, RegistrationProgress]
    next_one: OccurrenceRow | None
    day_off: str | None
    blocked: str
    has_classes: bool


@dataclass(frozen=True)
class DateTitle:
    """What a date is of: a subject and its section, or a title without one; and the page it leads to."""

    text: str
    section: str
    link: Link


@dataclass(frozen=True)
class TimeOfDay:
    """A time of day in two parts: "8:00", "AM"."""

    digits: str
    half: str


@dataclass(frozen=True)
class DateLine:
    """A date in a list. `remarks` stand below its name; `stamp` is a state, or empty."""

    time: TimeOfDay
    minutes: str
    name: DateTitle
    is_off: bool
    remarks: tuple[str, ...]
    stamp: str


@dataclass(frozen=True)
class Button:
    text: str
    link: Link


@dataclass(frozen=True)
class LiveDate:
    """A date that runs now. `count` says how many are in, `unmatched` goes on from there, `nobody` is said
    instead; `inside` and `total` are for the bar, which is left out without a total."""

    times: str
    name: DateTitle
    teacher: str
    count: str
    unmatched: str
    nobody: str
    inside: int
    total: int
    button: Button


@dataclass(frozen=True)
class UpcomingDate:
    """The next date of today, as the board shows it."""

    time: TimeOfDay
    when: str
    name: DateTitle
    title: str
    teacher: str
    details: str
    button: Button | None


@dataclass(frozen=True)
class IdleDay:
    """A day with nothing live or to come. `next_name` and what follows it are of the next date, if there is one."""

    title: str
    next_name: DateTitle | None
    next_when: str


@dataclass(frozen=True)
class Task:
    """Something that needs the viewer: how many of what, where."""

    count: int
    what: str
    where: str
    link: Link


@dataclass(frozen=True)
class HomePage:
    """The page; lists without lines are left out, as are boards that are None."""

    greeting: str
    day: str
    blocked: str
    has_classes: bool
    can_import_roster: bool
    live: tuple[LiveDate, ...]
    also_live: tuple[DateLine, ...]
    upcoming: UpcomingDate | None
    idle: IdleDay | None
    tasks: tuple[Task, ...]
    ahead: tuple[DateLine, ...]
    tomorrow_title: str
    tomorrow: tuple[DateLine, ...]
    earlier: tuple[DateLine, ...]


def sort_todays_dates(dates: Sequence[OccurrenceRow], now: datetime) -> TodaysDates:
    """Sort the dates of today and tomorrow. What the viewer manages comes before what others do."""
    today = clock.to_manila(now).date()
    todays = [row for row in dates if clock.to_manila(row.starts_at).date() == today]
    to_come = [
        row
        for row in todays
        if row.shown_state in (MeetingState.SCHEDULED, MeetingState.PENDING_ZOOM) and row.ends_at > now
    ]
    upcoming = next((row for row in to_come if row.managed), to_come[0] if to_come else None)
    return TodaysDates(
        live=tuple(row for row in todays if row.shown_state == MeetingState.STARTED),
        upcoming=upcoming,
        later=tuple(row for row in todays if row is not upcoming and row.shown_state != MeetingState.STARTED),
        tomorrow=tuple(row for row in dates if row not in todays),
    )


def build_home_page(data: HomeData, viewer: HomeViewer, now: datetime) -> HomePage:
    """The page at a time of day."""
    return _HomeBuilder(data, viewer, now).build()


class _HomeBuilder:
    def __init__(self, data: HomeData, viewer: HomeViewer, now: datetime) -> None:
        self.data, self.viewer, self.now = data, viewer, now
        self.today: date = clock.to_manila(now).date()
        self.dates = sort_todays_dates(data.dates, now)

    def build(self) -> HomePage:
        dates = self.dates
        # One that was ended early is over, whatever its plan says.
        ahead = [row for row in dates.later if row.shown_state != MeetingState.ENDED and row.ends_at > self.now]
        tasks = list(self._tasks(ahead))
        more = len(tasks) - MOST_TASKS
        if more > 1:
            where, link = _("sheets and classes of the last two weeks"), link_to("attendance.list_sheets")
            tasks[MOST_TASKS:] = [Task(more, _("more things"), where, link)]
        tomorrow = format_day(dates.tomorrow[0].starts_at) if dates.tomorrow else ""
        return HomePage(
            greeting=self._greeting(),
            day=format_day(self.today),
            blocked=self.data.blocked,
            has_classes=self.data.has_classes,
            can_import_roster=not self.viewer.is_admin or self.viewer.has_school,
            live=tuple(self._live_date(row) for row in dates.live[:LIVE_SHOWN_LARGE]),
            also_live=tuple(self._line(row) for row in dates.live[LIVE_SHOWN_LARGE:]),
            upcoming=self._upcoming_date(dates.upcoming) if dates.upcoming else None,
            idle=self._idle_day() if dates.is_idle else None,
            tasks=tuple(tasks),
            ahead=tuple(self._line(row) for row in ahead),
            tomorrow_title=_("Tomorrow, %(day)s", day=tomorrow) if tomorrow else _("Tomorrow"),
            tomorrow=tuple(self._line(row) for row in dates.tomorrow),
            earlier=tuple(self._line(row) for row in dates.later if row not in ahead),
        )

    def _greeting(self) -> str:
        hour, name = clock.to_manila(self.now).hour, self.viewer.full_name
        if hour < 12:
            return _("Good morning, %(name)s", name=name)
        return _("Good afternoon, %(name)s", name=name) if hour < 18 else _("Good evening, %(name)s", name=name)

    def _live_date(self, row: OccurrenceRow) -> LiveDate:
        sheet = self.data.sheets.get(row.occurrence_id)
        count = unmatched = nobody = ""
        if sheet and sheet.total:
            count = _("%(num)d of %(total)d in", num=sheet.in_meeting_count, total=sheet.total)
            if sheet.unmatched_count:
                unmatched = ", " + ngettext("%(num)d person to match", "%(num)d people to match", sheet.unmatched_count)
        elif row.class_id:
            nobody = _("Nobody has come in yet.")
        return LiveDate(
            times=_("%(start)s to %(end)s", start=format_time(row.starts_at), end=format_time(row.ends_at)),
            name=_name(row),
            teacher=self._other_teacher(row),
            count=count,
            unmatched=unmatched,
            nobody=nobody,
            inside=sheet.in_meeting_count if sheet else 0,
            total=sheet.total if sheet else 0,
            button=_button_of_live_date(row),
        )

    def _upcoming_date(self, row: OccurrenceRow) -> UpcomingDate:
        progress = self.data.registrations.get(row.meeting_id)
        details = _("%(num)d min", num=row.minutes)
        if row.shown_state == MeetingState.PENDING_ZOOM:
            details += ", " + _("waiting for Zoom")
        elif progress:
            details += ", " + _registered(progress, row).lower()
        return UpcomingDate(
            time=_clock(row.starts_at),
            when=_countdown(math.ceil((row.starts_at - self.now).total_seconds() / 60)),
            name=_name(row),
            title=_own_title(row),
            teacher=self._other_teacher(row),
            details=details,
            button=self._button_of_upcoming_date(row),
        )

    def _button_of_upcoming_date(self, row: OccurrenceRow) -> Button | None:
        """An admin may start any class in their scope, on its page; from here it would happen by accident."""
        is_own = not self.viewer.is_admin or row.teacher == self.viewer.full_name
        if row.managed and row.zoom_id and is_own:
            text = _("Start class") if row.class_id else _("Start meeting")
            return Button(text, link_to("meetings.start_meeting", meeting_id=row.meeting_id))
        return None if row.class_id else Button(_("Open the meeting"), _meeting_link(row))

    def _idle_day(self) -> IdleDay:
        if self.dates.later:
            title = _("No more classes today")
        elif self.data.day_off:
            title = _("No class today: %(name)s", name=self.data.day_off)
        else:
            title = _("No class today")
        row = self.data.next_one
        if row is None:
            return IdleDay(title, None, "")
        when = ", ".join(filter(None, (format_datetime(row.starts_at), self._other_teacher(row))))
        return IdleDay(title, _name(row), when)

    def _line(self, row: OccurrenceRow) -> DateLine:
        """What is over with its sheet leads to that, everything else to the meeting."""
        progress = self.data.registrations.get(row.meeting_id)
        is_off = row.shown_state in (MeetingState.CANCELLED, MeetingState.DELETED)
        is_over = row.shown_state == MeetingState.ENDED and row.class_id is not None
        sheet = self.data.sheets.get(row.occurrence_id) if is_over else None
        told = ""
        if sheet:
            told = _tallied(sheet)
        elif progress and not is_off:
            told = _registered(progress, row)
        return DateLine(
            time=_clock(row.starts_at),
            minutes=_("%(num)d min", num=row.minutes),
            name=_name(row, _sheet_link(row) if sheet else None),
            is_off=is_off,
            remarks=tuple(filter(None, (_own_title(row), self._other_teacher(row), told))),
            stamp=_stamp(row, sheet, progress),
        )

    def _other_teacher(self, row: OccurrenceRow) -> str:
        return row.teacher if row.teacher and row.teacher != self.viewer.full_name else ""

    def _tasks(self, ahead: Sequence[OccurrenceRow]) -> Iterator[Task]:
        """What needs the viewer, the most urgent first; a sheet is named once."""
        meetings: set[UUID] = set()
        for row in self.data.dates:
            is_in_trouble = row.error_code or row.shown_state == MeetingState.FAILED
            if row.managed and is_in_trouble and row.meeting_id not in meetings:
                meetings.add(row.meeting_id)
                yield Task(1, _trouble(row), self._where(row), _meeting_link(row))
        upcoming = [self.dates.upcoming] if self.dates.upcoming else []
        for row in (*self.dates.live, *upcoming, *ahead, *self.dates.tomorrow):
            progress = self.data.registrations.get(row.meeting_id)
            is_on = row.shown_state in (MeetingState.SCHEDULED, MeetingState.STARTED)
            if row.managed and is_on and progress and progress.failed and row.meeting_id not in meetings:
                meetings.add(row.meeting_id)
                what = ngettext("registration failed", "registrations failed", progress.failed)
                yield Task(progress.failed, what, self._where(row), _meeting_link(row, _anchor="help"))
        yield from self._tasks_of_sheets()

    def _tasks_of_sheets(self) -> Iterator[Task]:
        open_sheets = [
            (row, sheet)
            for row in self.data.recent
            if row.managed and (sheet := self.data.sheets.get(row.occurrence_id))
            if sheet.counts_in_reports and not sheet.finalised
        ]
        over = [(row, sheet) for row, sheet in open_sheets if row.shown_state != MeetingState.STARTED]
        named: set[UUID] = set()
        for row, sheet in open_sheets:
            if count := sheet.unmatched_count:
                named.add(row.occurrence_id)
                what = ngettext("person to match", "people to match", count)
                yield Task(count, what, self._where(row), _sheet_link(row, _anchor="people"))
        for row, sheet in over:
            if (count := sheet.needs_review) and row.occurrence_id not in named:
                named.add(row.occurrence_id)
                what = ngettext("learner to review", "learners to review", count)
                yield Task(count, what, self._where(row), _sheet_link(row, show="review"))
        for row, sheet in over:
            is_signable = sheet.state in (SheetState.RECONCILED, SheetState.UNREPORTED)
            if is_signable and row.occurrence_id not in named:
                yield Task(1, _("sheet to finalise"), self._where(row), _sheet_link(row))

    def _where(self, row: OccurrenceRow) -> str:
        """ "Science 8, Jadeite, Thu 30 Oct" """
        name = f"{row.subject}, {row.section_name}" if row.subject else row.title
        if clock.to_manila(row.starts_at).date() == self.today:
            return name + ", " + _("today %(time)s", time=format_time(row.starts_at))
        return f"{name}, {format_day(row.starts_at)}"


def _meeting_link(row: OccurrenceRow, **values: str) -> Link:
    return link_to("meeting_page.show_meeting_page", meeting_id=row.meeting_id, **values)


def _sheet_link(row: OccurrenceRow, **values: str) -> Link:
    return link_to("attendance.show_sheet", occurrence_id=row.occurrence_id, **values)


def _name(row: OccurrenceRow, link: Link | None = None) -> DateTitle:
    link = link or _meeting_link(row)
    return DateTitle(row.subject, row.section_title, link) if row.subject else DateTitle(row.title, "", link)


def _own_title(row: OccurrenceRow) -> str:
    """The title, where it says something that the subject does not."""
    return row.title if row.subject and row.title != row.subject else ""


def _clock(moment: datetime) -> TimeOfDay:
    return TimeOfDay(*format_time(moment).split(" "))


def _countdown(minutes_left: int) -> str:
    if minutes_left <= 0:
        return _("It is time")
    if minutes_left <= COUNTDOWN_FROM:
        return ngettext("Next, in %(num)d minute", "Next, in %(num)d minutes", minutes_left)
    return _("Next")


def _button_of_live_date(row: OccurrenceRow) -> Button:
    if row.class_id:
        return Button(_("See who is in"), _sheet_link(row))
    if row.managed:
        return Button(_("See who is in"), link_to("meeting_page.staff_meeting_attendance", meeting_id=row.meeting_id))
    return Button(_("Open the meeting"), _meeting_link(row))


def _stamp(row: OccurrenceRow, sheet: SheetSummary | None, progress: RegistrationProgress | None) -> str:
    if sheet:
        is_open = sheet.state in (SheetState.NOT_STARTED, SheetState.LIVE)
        return MeetingState.ENDED if is_open else sheet.state
    if row.shown_state != MeetingState.SCHEDULED:
        return row.shown_state
    return "registering" if progress and progress.running else ""


def _trouble(row: OccurrenceRow) -> str:
    if row.shown_state == MeetingState.FAILED:
        return _("class that Zoom refused")
    if row.shown_state == MeetingState.PENDING_ZOOM:
        return _("class waiting for Zoom")
    return _("class with trouble at Zoom")


def _registered(progress: RegistrationProgress, row: OccurrenceRow) -> str:
    if progress.done == progress.total and row.class_id is None:
        return ngettext("%(num)d person registered", "All %(num)d people registered", progress.total)
    if progress.done == progress.total:
        return ngettext("%(num)d learner registered", "All %(num)d learners registered", progress.total)
    said = _("%(done)d of %(total)d registered", done=progress.done, total=progress.total)
    return said + ", " + ngettext("%(num)d failed", "%(num)d failed", progress.failed) if progress.failed else said


def _tallied(sheet: SheetSummary) -> str:
    said = _(
        "%(present)d present, %(partial)d partial, %(absent)d absent",
        present=sheet.present, partial=sheet.partial, absent=sheet.absent,
    )  # fmt: skip
    return said + ", " + _("%(num)d to review", num=sheet.needs_review) if sheet.needs_review else said

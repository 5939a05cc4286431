"""View model of a meeting's page: decides what the page says and allows; the template loops and prints.

Pure: everything comes from the arguments. Sentences are in the language of the reader inside a request, else English.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal
from uuid import UUID

from portal.attendance.codes import SheetState
from portal.attendance.sheet.queries import SheetSummary
from portal.core.date_format import format_datetime, format_day, format_time
from portal.core.translations import gettext as _
from portal.core.translations import ngettext
from portal.meetings.codes import (
    MeetingError,
    MeetingEvent,
    MeetingKind,
    MeetingState,
    OccurrenceState,
    PendingAction,
)
from portal.meetings.messages import (
    meeting_error_message,
    meeting_history_message,
    setting_label,
    setting_value_label,
)
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.queries import MeetingHistoryEntry
from portal.registration.codes import RegistrantState, RegistrationError
from portal.registration.messages import failure_reason_message
from portal.registration.queries import RegistrantView, RegistrationProgress

Phase = Literal["planned", "waiting", "failed", "cancelled", "deleted", "trouble", "updating", "settled"]
Target = Literal["retry", "recreate", "open_mode", "page", "edit", "again", "start", "join"]
OPEN_STATES = (MeetingState.PENDING_ZOOM, MeetingState.SCHEDULED, MeetingState.STARTED, MeetingState.FAILED)
# Reasons that concern the whole meeting: such people are listed together.
_COMMON_REASONS = (
    RegistrationError.HOST_UNLICENSED,
    RegistrationError.REGISTRATION_OFF,
    RegistrationError.DELETED_AT_ZOOM,
    RegistrationError.OVER,
)
DATES_SHOWN = 5


@dataclass(frozen=True)
class MeetingData:
    """What the page is built from. `quota`: changes at Zoom used today, where the warning begins, all of a day."""

    meeting: ZoomMeeting
    occurrence: MeetingOccurrence | None
    progress: RegistrationProgress
    people: Sequence[RegistrantView]
    history: Sequence[MeetingHistoryEntry]
    summaries: Mapping[UUID, SheetSummary]
    own_link: str | None
    has_class_links: bool  # each learner has a link of the portal, good for all meetings of the class
    class_address: str | None
    quota: tuple[int, int, int]
    domains: tuple[str, ...]


@dataclass(frozen=True)
class MeetingViewer:
    user_id: UUID
    can_manage: bool


@dataclass(frozen=True)
class Action:
    """A button or a link; `target` names its address. Posts are those that change something."""

    label: str
    target: Target
    css: str = "btn"

    @property
    def is_post(self) -> bool:
        return self.target in ("retry", "recreate", "open_mode")


@dataclass(frozen=True)
class Notice:
    """One remark above the page, with what can be done."""

    title: str
    text: str = ""
    kind: Literal["", "warm", "bad"] = ""
    icon: str = ""
    role: str = ""
    details: tuple[str, ...] = ()
    link: Action | None = None  # at the end of the text
    actions: tuple[Action, ...] = ()
    hint: str = ""


@dataclass(frozen=True)
class DateLine:
    """A date of a recurring meeting; `can_change`: it may be moved or cancelled."""

    id: UUID
    day: str
    time: str
    minutes: str
    is_cancelled: bool
    can_change: bool


@dataclass(frozen=True)
class SheetLine:
    id: UUID
    day: str
    time: str
    label: str
    detail: str
    state: str  # of the stamp, empty without one


@dataclass(frozen=True)
class PersonLine:
    """`role`: "teacher" or "organiser" of somebody who is no learner. `link`: shown to be copied."""

    person: RegistrantView
    role: str
    remark: str
    link: str
    link_label: str


@dataclass(frozen=True)
class PeopleFold:
    title: str
    hint: str
    lines: tuple[PersonLine, ...]
    has_links: bool


@dataclass(frozen=True)
class TroubledPerson:
    person: RegistrantView
    address: str
    after_address: str  # the end of the sentence that begins with the address
    text: str
    remedy: Literal["", "lrn_address", "roster"]


@dataclass(frozen=True)
class HelpBlock:
    """Those who could not be registered: by common reason, then one by one."""

    heading: str
    groups: tuple[tuple[str, str, tuple[RegistrantView, ...]], ...]  # how many, why, who
    people: tuple[TroubledPerson, ...]


@dataclass(frozen=True)
class OpenModeBlock:
    licence_title: str
    licence_text: str
    text: str
    link: str
    link_label: str


@dataclass(frozen=True)
class MeetingPage:
    """The page. What is None or empty is not shown."""

    phase: Phase
    for_people: bool
    can_manage: bool
    is_open: bool
    can_change: bool
    lead: str
    teacher: str  # where it is not the reader
    when: str
    stamps: tuple[str, ...]
    primary: Action | None
    refresh_seconds: int | None
    notices: tuple[Notice, ...]
    dates_count: int
    dates: tuple[DateLine, ...]
    later_dates: tuple[DateLine, ...]
    later_dates_title: str
    participants_label: str
    sheets: tuple[SheetLine, ...]
    has_sheets: bool
    open_mode: OpenModeBlock | None
    has_progress: bool
    help: HelpBlock | None
    people_heading: str
    people_folds: tuple[PeopleFold, ...]
    people_text: str
    share: Literal["", "class_links", "zoom_links"]
    share_text: str
    links_text: str
    slips_label: str
    host: tuple[str, str] | None
    overridden_settings: tuple[tuple[str, str], ...]
    history: tuple[tuple[str, str, str, str, str], ...]  # day, time, event, who, detail
    cancel_label: str


def build_meeting_page(data: MeetingData, viewer: MeetingViewer, now: datetime) -> MeetingPage:
    return _PageBuilder(data, viewer, now).build()


def meeting_phase(meeting: ZoomMeeting, now: datetime) -> Phase:
    if meeting.state == MeetingState.PENDING_ZOOM:
        is_later = meeting.next_attempt_at is not None and meeting.next_attempt_at > now
        return "planned" if is_later and not meeting.error_code else "waiting"
    if meeting.state == MeetingState.FAILED:
        return "failed"
    if meeting.state == MeetingState.CANCELLED:
        return "cancelled"
    if meeting.state == MeetingState.DELETED:
        return "deleted"
    if meeting.error_code:
        return "trouble"
    return "updating" if meeting.pending_action == PendingAction.UPDATE else "settled"


class _PageBuilder:
    def __init__(self, data: MeetingData, viewer: MeetingViewer, now: datetime) -> None:
        self.data, self.viewer, self.now = data, viewer, now
        self.meeting = data.meeting
        self.phase = meeting_phase(data.meeting, now)
        self.for_people = data.meeting.class_id is None
        self.can_manage = viewer.can_manage
        self.is_open = data.meeting.state in OPEN_STATES
        self.shown_state = self._shown_state()

    def _shown_state(self) -> str:
        by_itself = (MeetingState.PENDING_ZOOM, MeetingState.FAILED, MeetingState.CANCELLED, MeetingState.DELETED)
        if self.meeting.state in by_itself or self.data.occurrence is None:
            return self.meeting.state
        return self.data.occurrence.state

    def _either(self, for_people: str, for_class: str) -> str:
        return for_people if self.for_people else for_class

    def build(self) -> MeetingPage:
        meeting, occurrence, dates = self.meeting, self.data.occurrence, self._coming_dates()
        shown = occurrence or meeting
        later = len(dates) - DATES_SHOWN
        return MeetingPage(
            phase=self.phase,
            for_people=self.for_people,
            can_manage=self.can_manage,
            is_open=self.is_open,
            can_change=self.can_manage and self.shown_state not in ("cancelled", "deleted"),
            lead=self._lead(),
            teacher=self._teacher(),
            when=_("%(when)s, %(num)d min", when=format_datetime(shown.starts_at), num=shown.minutes),
            stamps=self._stamps(),
            primary=self._primary(),
            refresh_seconds=self._refresh_seconds(),
            notices=(*self._phase_notices(), *self._quota_notices(), *self._licence_notices()),
            dates_count=sum(not one.is_cancelled for one in dates),
            dates=tuple(dates[:DATES_SHOWN]),
            later_dates=tuple(dates[DATES_SHOWN:]),
            later_dates_title=ngettext("%(num)d later date", "%(num)d later dates", later) if later > 0 else "",
            participants_label=self._participants_label(),
            sheets=tuple(self._sheets()),
            has_sheets=self._has_sheets(),
            open_mode=self._open_mode() if self.is_open and not meeting.has_registration else None,
            has_progress=self._has_progress(),
            help=self._help() if self._troubled else None,
            people_heading=self._either(_("Invited"), _("Everybody")) if self._has_people else "",
            people_folds=tuple(self._people_folds()),
            people_text=self._people_text(),
            share=self._share(),
            share_text=self._share_text() if self.data.class_address else "",
            links_text=self._either(
                _("Everybody has a personal link, and finds it on this page too."),
                _("Each learner has a personal link. By it Zoom, and so the sheet, knows who came in."),
            ),
            slips_label=self._slips_label(),
            host=_split_address(meeting.host_email) if meeting.zoom_id else None,
            overridden_settings=tuple(
                (setting_label(name), setting_value_label(name, value))
                for name, value in (meeting.overridden_settings or {}).items()
            ),
            history=tuple(_history_line(entry) for entry in self.data.history),
            cancel_label=self._either(_("Cancel this meeting"), _("Cancel this class")),
        )

    def _lead(self) -> str:
        if not self.for_people:
            return ""
        audiences = {"teachers": _("All teachers of the school"), "all": _("Everybody at the school")}
        return audiences.get(self.meeting.audience, _("Invited people"))

    def _teacher(self) -> str:
        school_class = self.meeting.school_class
        teacher = school_class.teacher if school_class else self.meeting.creator
        return "" if teacher.id == self.viewer.user_id else teacher.full_name

    def _stamps(self) -> tuple[str, ...]:
        is_registering = self.is_open and self.data.progress.running
        if is_registering and self.meeting.state != MeetingState.PENDING_ZOOM:
            return (self.shown_state, "registering")
        return (self.shown_state,)

    def _primary(self) -> Action | None:
        """The one large button: to start, to start again, or to join."""
        state, occurrence = self.meeting.state, self.data.occurrence
        can_enter = state in (MeetingState.SCHEDULED, MeetingState.STARTED)
        if self.can_manage and self.meeting.zoom_id and can_enter:
            start = self._either(_("Start meeting"), _("Start class"))
            back = self._either(_("Back into the meeting"), _("Back into the class"))
            is_running = self.shown_state == OccurrenceState.STARTED
            return Action(back if is_running else start, "start", "btn btn-primary btn-big")
        is_before_end = occurrence is not None and occurrence.ends_at > self.now
        if self.can_manage and self.meeting.zoom_id and state == MeetingState.ENDED and is_before_end:
            return Action(_("Start again"), "start")
        if self.data.own_link and can_enter:
            return Action(_("Join at Zoom"), "join", "btn btn-primary btn-big")
        return None

    def _refresh_seconds(self) -> int | None:
        """While Zoom has not answered the page is loaded anew, less often once there is a reason to wait."""
        meeting = self.meeting
        if meeting.state != MeetingState.PENDING_ZOOM or (meeting.next_attempt_at and not meeting.error_code):
            return None
        return 30 if meeting.error_code else 3

    @cached_property
    def _again(self) -> Action:
        return Action(_("Schedule again"), "again")

    def _if_managed(self, *actions: Action) -> tuple[Action, ...]:
        return actions if self.can_manage else ()

    def _next_try(self, *, is_limit: bool = False) -> tuple[str, ...]:
        next_at = self.meeting.next_attempt_at
        if not (self.meeting.error_code and next_at and next_at > self.now):
            return ()
        when = format_datetime(next_at)
        return (_("Goes on %(when)s.", when=when) if is_limit else _("Next try %(when)s.", when=when),)

    def _phase_notices(self) -> tuple[Notice, ...]:
        build = {
            "planned": self._planned,
            "waiting": self._waiting,
            "failed": self._failed,
            "cancelled": self._cancelled,
            "deleted": self._deleted,
            "trouble": self._in_trouble,
            "updating": self._updating,
        }.get(self.phase)
        return (build(),) if build else ()

    def _planned(self) -> Notice:
        assert self.meeting.next_attempt_at
        return Notice(
            _("Goes to Zoom on %(day)s.", day=format_day(self.meeting.next_attempt_at)),
            _(
                "Later parts of a schedule are made three weeks before their first date, so that every learner can be "
                "registered in time."
            ),
            icon="calendar",
            actions=self._if_managed(Action(_("Send it to Zoom now"), "retry")),
        )

    def _waiting(self) -> Notice:
        code = self.meeting.error_code
        retry = self._if_managed(Action(_("Try now"), "retry")) if code else ()
        saved = _("It is saved here and goes to Zoom now. This page looks again by itself.")
        return Notice(
            _("Waiting for Zoom."),
            meeting_error_message(code) if code else saved,
            kind="warm" if code else "",
            icon="wait",
            role="status",
            details=self._next_try(),
            actions=(*retry, Action(_("Look again"), "page", "btn btn-quiet")),
        )

    def _failed(self) -> Notice:
        return Notice(
            self._either(_("Zoom did not take this meeting."), _("Zoom did not take this class.")),
            meeting_error_message(self.meeting.error_code),
            kind="bad",
            actions=self._if_managed(
                Action(_("Try now"), "retry"), Action(_("Change the details"), "edit", "btn btn-quiet")
            ),
        )

    def _cancelled(self) -> Notice:
        reasons = [one.reason for one in self.data.history if one.event == MeetingEvent.CANCELLED and one.reason]
        details: tuple[str, ...] = ()
        if self.meeting.pending_action == PendingAction.DELETE:
            still_there = _("Zoom still has it; the portal takes it away there.")
            details = (f"{still_there} {meeting_error_message(self.meeting.error_code)}",)
        return Notice(
            self._either(_("This meeting is cancelled."), _("This class is cancelled.")),
            _("Reason: %(reason)s", reason=reasons[0]) if reasons else "",
            kind="bad",
            icon="cancelled",
            details=details,
            actions=self._if_managed(self._again),
        )

    def _deleted(self) -> Notice:
        is_left = any(
            one.is_scheduled and one.state == OccurrenceState.SCHEDULED and one.ends_at > self.now
            for one in self.meeting.occurrences
        )
        recreate = Action(_("Make it again"), "recreate", "btn btn-primary")
        hint = _("The room is made anew at Zoom, and everybody is registered again with a new link.")
        return Notice(
            self._either(_("This meeting was deleted at Zoom."), _("This class was deleted at Zoom.")),
            _("Its links no longer work. What was seen of attendance is kept."),
            kind="bad",
            icon="cancelled",
            actions=self._if_managed(recreate if is_left else self._again),
            hint=hint if is_left and self.can_manage else "",
        )

    def _in_trouble(self) -> Notice:
        code, detail = self.meeting.error_code, self.meeting.error_detail
        scopes = _("Missing at the Zoom app: %(scopes)s", scopes=detail)
        is_limit = code in (MeetingError.HOST_LIMIT, MeetingError.ACCOUNT_LIMIT)
        is_update = self.meeting.pending_action == PendingAction.UPDATE
        return Notice(
            _("Zoom has an older version of it.") if is_update else _("Something is wrong at Zoom."),
            meeting_error_message(code),
            kind="warm",
            details=(
                *((scopes,) if code == MeetingError.NOT_AUTHORISED and detail else ()),
                *self._next_try(is_limit=is_limit),
            ),
            actions=self._if_managed(Action(_("Try now"), "retry")),
        )

    def _updating(self) -> Notice:
        return Notice(
            "",
            _("The change is saved and on its way to Zoom."),
            icon="wait",
            role="status",
            link=Action(_("Look again"), "page"),
        )

    def _quota_notices(self) -> list[Notice]:
        used, warn_from, a_day = self.data.quota
        if not (self.can_manage and self.is_open and used >= warn_from):
            return []
        title = _("%(used)d of %(all)d changes at Zoom used today.", used=used, all=a_day)
        text = _("Zoom takes no more for one host in a day. What is above waits until 8:00 AM.")
        return [Notice(title, text, kind="warm")]

    def _licence_notices(self) -> list[Notice]:
        is_unlicensed = any(one.reason == RegistrationError.HOST_UNLICENSED for one in self.data.people)
        if not (self.can_manage and self.is_open and self.meeting.has_registration and is_unlicensed):
            return []
        text = _(
            "The class can run with one link for all: the sheet is then matched by address and name, and some names "
            "will need you."
        )
        action = Action(_("Use one link for all"), "open_mode")
        title = _("The Zoom host has no licence, so Zoom registers nobody.")
        return [Notice(title, text, kind="warm", actions=(action,))]

    def _coming_dates(self) -> list[DateLine]:
        if self.meeting.kind != MeetingKind.RECURRING:
            return []
        return [
            DateLine(
                id=one.id,
                day=format_day(one.starts_at),
                time=format_time(one.starts_at),
                minutes=_("%(num)d min", num=one.minutes),
                is_cancelled=one.state == OccurrenceState.CANCELLED,
                can_change=one.state != OccurrenceState.CANCELLED and self.can_manage and self.is_open,
            )
            for one in self.meeting.occurrences
            if one.is_scheduled
            and one.ends_at > self.now
            and one.state not in (OccurrenceState.STARTED, OccurrenceState.ENDED)
        ]

    @property
    def _has_run(self) -> bool:
        return self.shown_state in (OccurrenceState.STARTED, OccurrenceState.ENDED)

    def _participants_label(self) -> str:
        """The link to the participants of a meeting without a class."""
        if not (self.for_people and self.can_manage and self._has_run):
            return ""
        is_running = self.shown_state == OccurrenceState.STARTED
        return _("See who is in") if is_running else _("Who came, and for how long")

    def _has_sheets(self) -> bool:
        return not self.for_people and (self._has_run or any(one.total for one in self.data.summaries.values()))

    def _sheets(self) -> Iterable[SheetLine]:
        for one in self.meeting.occurrences if self._has_sheets() else ():
            summary = self.data.summaries.get(one.id)
            is_running = one.state == OccurrenceState.STARTED
            if summary is None and one.state not in (OccurrenceState.STARTED, OccurrenceState.ENDED):
                continue
            yield SheetLine(
                id=one.id,
                day=format_day(one.starts_at),
                time=format_time(one.starts_at),
                label=_("See who is in") if is_running else _("Attendance sheet"),
                detail=_sheet_detail(summary, is_running=is_running) if summary else "",
                state="started" if is_running else _sheet_stamp(summary),
            )

    def _open_mode(self) -> OpenModeBlock:
        may_see_link = (self.can_manage or self.for_people) and self.meeting.join_url
        return OpenModeBlock(
            licence_title=_("The Zoom host has no licence, so Zoom cannot register anybody.")
            if self.meeting.open_mode
            else "",
            licence_text=self._either(
                _("With a licence everybody gets a personal link, and the portal knows who came."),
                _("With a licence each learner gets a personal link and the sheet fills in by itself."),
            ),
            text=self._either(
                _("This meeting runs without registration: everybody uses the same link."),
                _(
                    "This class runs without registration: everybody uses the same link. Zoom then does not say who is "
                    "who, so the sheet is matched by name, and some names will need you."
                ),
            ),
            link=self.meeting.join_url or "" if may_see_link else "",
            link_label=self._either(_("Link for all"), _("Link for the class")),
        )

    def _has_progress(self) -> bool:
        if not self.meeting.has_registration:
            return False
        if self.is_open:
            return self.meeting.state not in (MeetingState.PENDING_ZOOM, MeetingState.FAILED)
        return self.shown_state == OccurrenceState.ENDED and bool(self.data.progress.total)

    @cached_property
    def _troubled(self) -> list[RegistrantView]:
        states = (RegistrantState.FAILED, RegistrantState.DENIED, RegistrantState.CANCELLED)
        return [one for one in self.data.people if one.state in states] if self.is_open else []

    def _reason(self, code: str | None) -> str:
        return failure_reason_message(code, self.data.domains)

    def _help(self) -> HelpBlock:
        groups: dict[str, list[RegistrantView]] = {}
        for person in self._troubled:
            if person.reason in _COMMON_REASONS:
                groups.setdefault(person.reason or "", []).append(person)
        count = len(self._troubled)
        return HelpBlock(
            heading=ngettext("%(num)d needs your help", "%(num)d need your help", count),
            groups=tuple(
                (ngettext("%(num)d person", "%(num)d people", len(some)), self._reason(code), tuple(some))
                for code, some in sorted(groups.items())
            ),
            people=tuple(self._troubled_person(one) for one in self._troubled if one.reason not in _COMMON_REASONS),
        )

    def _troubled_person(self, person: RegistrantView) -> TroubledPerson:
        text = self._reason(person.reason) or _("Zoom took this registration away.")
        address, after = "", ""
        named = (RegistrationError.OUTSIDE_DOMAIN, RegistrationError.SHARED_ADDRESS, RegistrationError.HOST)
        if person.email and person.reason in named:
            is_outside = person.reason == RegistrationError.OUTSIDE_DOMAIN
            address = person.email
            after = " " + _("is outside the school.") if is_outside else "."
        return TroubledPerson(person, address, after, text, self._remedy(person))

    def _remedy(self, person: RegistrantView) -> Literal["", "lrn_address", "roster"]:
        if not self.can_manage:
            return ""
        replaceable = (RegistrationError.OUTSIDE_DOMAIN, RegistrationError.SHARED_ADDRESS, RegistrationError.REFUSED)
        if person.has_lrn and person.reason in replaceable and not person.email.split("@")[0].isdigit():
            return "lrn_address"
        return "roster" if person.reason == RegistrationError.NO_ADDRESS and self.meeting.school_class else ""

    @property
    def _has_people(self) -> bool:
        return bool(self.data.people) and self.meeting.has_registration

    def _of_states(self, *states: RegistrantState) -> list[RegistrantView]:
        return [one for one in self.data.people if one.state in states] if self._has_people else []

    def _people_folds(self) -> Iterable[PeopleFold]:
        if done := self._of_states(RegistrantState.REGISTERED):
            hint = "" if self.data.has_class_links else _("Each has a personal link")
            title = _("%(num)d registered", num=len(done))
            yield self._fold(title, hint, done, with_links=self.can_manage and self.is_open)
        if waiting := self._of_states(RegistrantState.QUEUED, RegistrantState.PENDING_APPROVAL):
            yield self._fold(_("%(num)d waiting", num=len(waiting)), self._waiting_hint(), waiting, with_links=False)

    def _waiting_hint(self) -> str:
        if self.meeting.state == MeetingState.PENDING_ZOOM:
            return _("as soon as Zoom has the class")
        if self.meeting.kind == MeetingKind.RECURRING:
            return _("Zoom takes them one by one")
        return _("Zoom takes 30 at a time")

    def _fold(self, title: str, hint: str, people: list[RegistrantView], *, with_links: bool) -> PeopleFold:
        return PeopleFold(title, hint, tuple(self._person_line(one, with_links) for one in people), with_links)

    def _person_line(self, person: RegistrantView, with_links: bool) -> PersonLine:
        remark = self._reason(person.reason) if person.reason else ""
        if person.reason and person.resumes_at and person.resumes_at > self.now:
            remark += " " + _("Next try %(when)s.", when=format_datetime(person.resumes_at))
        is_shown = with_links and not (self.data.has_class_links and person.learner_id)
        return PersonLine(
            person=person,
            role=self._role(person),
            remark=remark,
            link=(person.join_url or "") if is_shown else "",
            link_label=_("Link of %(first)s %(last)s", first=person.first_name, last=person.last_name),
        )

    def _role(self, person: RegistrantView) -> str:
        if person.learner_id:
            return ""
        if not self.for_people:
            return _("teacher")
        return _("organiser") if person.user_id == self.meeting.created_by else ""

    def _people_text(self) -> str:
        """Said where nobody is registered or waiting."""
        listed = self._of_states(RegistrantState.REGISTERED, RegistrantState.QUEUED, RegistrantState.PENDING_APPROVAL)
        return _("Nobody is registered yet.") if self._has_people and self._troubled and not listed else ""

    def _share(self) -> Literal["", "class_links", "zoom_links"]:
        if not (self.can_manage and self.is_open):
            return ""
        if self.data.has_class_links:
            return "class_links"
        return "zoom_links" if any(one.join_url for one in self.data.people) else ""

    def _share_text(self) -> str:
        """Four lines for the class's group chat."""
        meeting, occurrence = self.meeting, self.data.occurrence
        section = meeting.school_class.section.title if meeting.school_class else ""
        when = format_datetime(meeting.starts_at)
        if occurrence:
            start, end = format_time(occurrence.starts_at), format_time(occurrence.ends_at)
            when = _("%(day)s, %(start)s to %(end)s", day=format_day(occurrence.starts_at), start=start, end=end)
        by_own_link, by_name = _("Come in by your own link."), _("Write your full name when Zoom asks.")
        return "\n".join(
            [
                _("%(title)s, %(section)s", title=meeting.title, section=section),
                when,
                self.data.class_address or "",
                by_own_link if meeting.has_registration else by_name,
            ]
        )

    def _slips_label(self) -> str:
        count = sum(bool(one.join_url and one.learner_id) for one in self.data.people)
        return ngettext("Print %(num)d personal slip", "Print %(num)d personal slips", count) if count else ""


def _split_address(address: str) -> tuple[str, str]:
    name, _at, domain = address.partition("@")
    return name, domain


def _sheet_detail(summary: SheetSummary, *, is_running: bool) -> str:
    if is_running:
        return _("%(num)d of %(total)d in", num=summary.in_meeting_count, total=summary.total)
    if not summary.total:
        return ""
    counts = _(
        "%(present)d present, %(partial)d partial, %(absent)d absent",
        present=summary.present,
        partial=summary.partial,
        absent=summary.absent,
    )
    return counts + ", " + _("%(num)d to review", num=summary.needs_review) if summary.needs_review else counts


def _sheet_stamp(summary: SheetSummary | None) -> str:
    if summary is None:
        return ""
    return "ended" if summary.state in (SheetState.NOT_STARTED, SheetState.LIVE) else summary.state


def _history_line(entry: MeetingHistoryEntry) -> tuple[str, str, str, str, str]:
    return (
        format_day(entry.occurred_at),
        format_time(entry.occurred_at),
        meeting_history_message(entry.event),
        entry.who or "",
        _history_detail(entry),
    )


def _history_detail(entry: MeetingHistoryEntry) -> str:
    if entry.error_code:
        return meeting_error_message(entry.error_code)
    if entry.event == MeetingEvent.REGISTRATION_STARTED and entry.number:
        return ngettext("%(num)d person", "%(num)d people", entry.number)
    if entry.moved_to and entry.occurrence_date:
        day, when = format_day(entry.occurrence_date), format_datetime(entry.moved_to)
        return _("from %(day)s to %(when)s", day=day, when=when)
    if entry.occurrence_date:
        day = format_day(entry.occurrence_date)
        return f"{day}: {entry.reason}" if entry.reason else day
    return entry.reason or entry.host_email or str(entry.number or "")

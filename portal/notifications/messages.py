"""Notifications as sentences, for the page and for letters."""

import re
from datetime import date, datetime

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.core.date_format import format_datetime, format_day
from portal.core.mail.outbox import strip_control_characters
from portal.notifications.codes import NotificationKind
from portal.notifications.models import Notification

_LRN = re.compile(r"\d{12}")


def notification_kind_label(name: str) -> str:
    """A kind of notification, as the settings name it."""
    return {
        "scheduled": _("A class is scheduled"),
        "changed": _("A class is changed"),
        "cancelled": _("A class or one date of it is cancelled"),
        NotificationKind.SHEET_READY: _("An attendance sheet is ready to finalise"),
        NotificationKind.TO_MATCH: _("There are people to match on a sheet"),
        NotificationKind.REGISTRATION_FAILED: _("Zoom could not register somebody"),
    }[name]


def notification_title(notification: Notification) -> str:
    """What happened, with the class in a word: fit for a letter's subject, where no title and no reason stands."""
    what, number = _class_of(notification), int(notification.payload.get("number") or 1)
    if notification.kind == NotificationKind.TO_MATCH:
        text = ngettext("%(num)d person to match: %(what)s", "%(num)d people to match: %(what)s", number, what=what)
    elif notification.kind == NotificationKind.REGISTRATION_FAILED:
        text = ngettext("%(num)d not registered: %(what)s", "%(num)d not registered: %(what)s", number, what=what)
    elif notification.kind == NotificationKind.CANCELLED and notification.payload.get("one_date"):
        text = _("One date cancelled: %(what)s", what=what)
    elif not notification.payload.get("subject") and notification.kind in (
        NotificationKind.SCHEDULED,
        NotificationKind.CHANGED,
        NotificationKind.CANCELLED,
    ):
        text = {
            "scheduled": _("Meeting scheduled: %(what)s", what=what),
            "changed": _("Meeting changed: %(what)s", what=what),
            "cancelled": _("Meeting cancelled: %(what)s", what=what),
        }[notification.kind]
    else:
        text = {
            "scheduled": _("Class scheduled: %(what)s", what=what),
            "changed": _("Class changed: %(what)s", what=what),
            "cancelled": _("Class cancelled: %(what)s", what=what),
            NotificationKind.SHEET_READY: _("Sheet ready: %(what)s", what=what),
        }[notification.kind]
    return redact_notification_text(text)


def notification_times(notification: Notification) -> str:
    """When the class is or was, and who did it; nothing that anybody typed but names of staff."""
    facts = notification.payload
    parts = []
    if facts.get("starts_at"):
        begins = datetime.fromisoformat(facts["starts_at"])
        words = format_datetime(begins)
        if facts.get("dates", 1) > 1 and not facts.get("one_date"):
            number = int(facts["dates"])
            words = ngettext("%(num)d date, first %(when)s", "%(num)d dates, first %(when)s", number, when=words)
        parts.append(words)
    if facts.get("before"):
        was = format_day(date.fromisoformat(facts["before"]))
        if notification.kind == NotificationKind.CANCELLED:
            parts.append(was)
        elif facts.get("moved_to"):
            parts.append(
                _("from %(day)s to %(when)s", day=was, when=format_datetime(datetime.fromisoformat(facts["moved_to"])))
            )
        else:
            parts.append(_("the class of %(day)s has another time", day=was))
    if notification.kind == NotificationKind.SHEET_READY:
        parts.append(_("%(present)d present, %(partial)d partial, %(absent)d absent", **_counts(facts)))
        if facts.get("review"):
            parts.append(_("%(num)d to review", num=facts["review"]))
    if facts.get("by"):
        parts.append(_("by %(name)s", name=facts["by"]))
    elif facts.get("at_zoom"):
        parts.append(_("done in Zoom itself"))
    return redact_notification_text(", ".join(parts))


def user_written_text(notification: Notification) -> str:
    """What a person typed: the title, and why a class is off. For the page alone: a letter may be read by others."""
    title, reason = notification.payload.get("title") or "", notification.payload.get("reason") or ""
    parts = [
        title if title != notification.payload.get("subject") else "",
        _("Reason: %(reason)s", reason=reason) if reason else "",
    ]
    return strip_control_characters(". ".join(part for part in parts if part))


def notification_target_url(notification: Notification) -> str:
    """The page of the thing itself."""
    if notification.kind == NotificationKind.SHEET_READY:
        return f"/attendance/{notification.occurrence_id}"
    if notification.kind == NotificationKind.TO_MATCH:
        return f"/attendance/{notification.occurrence_id}#match"
    if notification.kind == NotificationKind.REGISTRATION_FAILED:
        return f"/meetings/{notification.meeting_id}#help"
    return f"/meetings/{notification.meeting_id}"


def digest_mail_subject(notifications: list[Notification]) -> str:
    """The subject of one letter about all of these."""
    if len(notifications) == 1:
        return notification_title(notifications[0])
    return ngettext("%(num)d thing about your classes", "%(num)d things about your classes", len(notifications))


def redact_notification_text(text: str) -> str:
    """On one line, without control characters, and without anything that looks like an LRN."""
    return _LRN.sub("…", strip_control_characters(text))


def _class_of(notification: Notification) -> str:
    if notification.payload.get("subject"):
        return f"{notification.payload['subject']}, {notification.payload['section']}"
    return str(notification.payload.get("title") or "")


def _counts(facts: dict[str, object]) -> dict[str, object]:
    return {name: facts.get(name) or 0 for name in ("present", "partial", "absent")}

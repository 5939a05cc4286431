"""Messages: notifications as translated sentences, for the page and for mails."""

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
    """The label of a kind, for the settings."""
    return {
        "scheduled": _("A class is scheduled"),
        "changed": _("A class is changed"),
        "cancelled": _("A class or one date of it is cancelled"),
        NotificationKind.SHEET_READY: _("An attendance sheet is ready to finalise"),
        NotificationKind.TO_MATCH: _("There are people to match on a sheet"),
        NotificationKind.REGISTRATION_FAILED: _("Zoom could not register somebody"),
    }[name]


def notification_title(notification: Notification) -> str:
    """What happened, with a short name of the class: safe for a mail's subject, without title and reason."""
    class_label, count = _class_label(notification), int(notification.payload.get("number") or 1)
    if notification.kind == NotificationKind.TO_MATCH:
        text = ngettext(
            "%(num)d person to match: %(what)s", "%(num)d people to match: %(what)s", count, what=class_label
        )
    elif notification.kind == NotificationKind.REGISTRATION_FAILED:
        text = ngettext("%(num)d not registered: %(what)s", "%(num)d not registered: %(what)s", count, what=class_label)
    elif notification.kind == NotificationKind.CANCELLED and notification.payload.get("one_date"):
        text = _("One date cancelled: %(what)s", what=class_label)
    elif not notification.payload.get("subject") and notification.kind in (
        NotificationKind.SCHEDULED,
        NotificationKind.CHANGED,
        NotificationKind.CANCELLED,
    ):
        text = {
            "scheduled": _("Meeting scheduled: %(what)s", what=class_label),
            "changed": _("Meeting changed: %(what)s", what=class_label),
            "cancelled": _("Meeting cancelled: %(what)s", what=class_label),
        }[notification.kind]
    else:
        text = {
            "scheduled": _("Class scheduled: %(what)s", what=class_label),
            "changed": _("Class changed: %(what)s", what=class_label),
            "cancelled": _("Class cancelled: %(what)s", what=class_label),
            NotificationKind.SHEET_READY: _("Sheet ready: %(what)s", what=class_label),
        }[notification.kind]
    return redact_notification_text(text)


def notification_times(notification: Notification) -> str:
    """When the class is or was, and who did it; no text that a user typed except names of staff."""
    payload = notification.payload
    parts = []
    if payload.get("starts_at"):
        start = datetime.fromisoformat(payload["starts_at"])
        when = format_datetime(start)
        if payload.get("dates", 1) > 1 and not payload.get("one_date"):
            count = int(payload["dates"])
            when = ngettext("%(num)d date, first %(when)s", "%(num)d dates, first %(when)s", count, when=when)
        parts.append(when)
    if payload.get("before"):
        old_day = format_day(date.fromisoformat(payload["before"]))
        if notification.kind == NotificationKind.CANCELLED:
            parts.append(old_day)
        elif payload.get("moved_to"):
            parts.append(
                _(
                    "from %(day)s to %(when)s",
                    day=old_day,
                    when=format_datetime(datetime.fromisoformat(payload["moved_to"])),
                )
            )
        else:
            parts.append(_("the class of %(day)s has another time", day=old_day))
    if notification.kind == NotificationKind.SHEET_READY:
        parts.append(_("%(present)d present, %(partial)d partial, %(absent)d absent", **_mark_counts(payload)))
        if payload.get("review"):
            parts.append(_("%(num)d to review", num=payload["review"]))
    if payload.get("by"):
        parts.append(_("by %(name)s", name=payload["by"]))
    elif payload.get("at_zoom"):
        parts.append(_("done in Zoom itself"))
    return redact_notification_text(", ".join(parts))


def user_written_text(notification: Notification) -> str:
    """Text that a user typed: the title, and the reason of a cancellation. For the page only, not for mails."""
    title, reason = notification.payload.get("title") or "", notification.payload.get("reason") or ""
    parts = [
        title if title != notification.payload.get("subject") else "",
        _("Reason: %(reason)s", reason=reason) if reason else "",
    ]
    return strip_control_characters(". ".join(part for part in parts if part))


def notification_target_url(notification: Notification) -> str:
    """The URL of the page that the notification is about."""
    if notification.kind == NotificationKind.SHEET_READY:
        return f"/attendance/{notification.occurrence_id}"
    if notification.kind == NotificationKind.TO_MATCH:
        return f"/attendance/{notification.occurrence_id}#match"
    if notification.kind == NotificationKind.REGISTRATION_FAILED:
        return f"/meetings/{notification.meeting_id}#help"
    return f"/meetings/{notification.meeting_id}"


def digest_mail_subject(notifications: list[Notification]) -> str:
    """The subject of a digest mail about all of these."""
    if len(notifications) == 1:
        return notification_title(notifications[0])
    return ngettext("%(num)d thing about your classes", "%(num)d things about your classes", len(notifications))


def redact_notification_text(text: str) -> str:
    """The text on one line, without control characters and without anything that looks like an LRN."""
    return _LRN.sub("…", strip_control_characters(text))


def _class_label(notification: Notification) -> str:
    if notification.payload.get("subject"):
        return f"{notification.payload['subject']}, {notification.payload['section']}"
    return str(notification.payload.get("title") or "")


def _mark_counts(payload: dict[str, object]) -> dict[str, object]:
    return {name: payload.get(name) or 0 for name in ("present", "partial", "absent")}

"""Codes of this package as sentences for the page."""

from flask_babel import gettext as _


def trouble(code: str | None) -> str:
    """Why something waits or failed at Zoom, and what to do."""
    words = {
        None: "",
        "not configured": _(
            "Zoom is not configured. Your ICT coordinator enters the Zoom account once; then this goes on by itself."
        ),
        "not authorised": _(
            "Zoom does not let the portal do this. Your ICT coordinator checks the Zoom app's credentials and scopes."
        ),
        "rate limited": _("Zoom's limit is reached for now. The portal goes on by itself when Zoom allows it again."),
        "unavailable": _("Zoom is not answering. Nothing is lost: the portal tries again by itself."),
        "gone": _("The meeting was deleted at Zoom."),
        "host unknown": _(
            "Zoom has no user with the teacher's address. Ask your ICT coordinator to add her to the Zoom account."
        ),
        "host not licensed": _(
            "The teacher's Zoom account is not licensed, so learners cannot be registered with Zoom."
        ),
        "registration off": _("Registration is switched off for this meeting at Zoom."),
        "full": _("The meeting is full at Zoom."),
        "over": _("The meeting is over at Zoom."),
    }
    return words.get(code, _("Zoom refused this. Check the details, or ask your ICT coordinator."))


def happened(what: str) -> str:
    """A line of a meeting's history."""
    return {
        "scheduled": _("Scheduled"),
        "changed": _("Changed"),
        "cancelled": _("Cancelled"),
        "tried again": _("Tried again"),
        "made at Zoom": _("Made at Zoom"),
        "changed at Zoom": _("Change brought to Zoom"),
        "deleted at Zoom": _("Deleted at Zoom"),
        "trouble": _("Zoom did not take it, kept here"),
        "registration began": _("Registration began"),
        "everybody registered": _("Everybody is registered"),
        "started": _("Class started"),
        "ended": _("Class ended"),
        "moved at Zoom": _("Changed in Zoom itself"),
    }.get(what, what)

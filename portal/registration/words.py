"""Codes of this package as sentences for the page."""

from flask_babel import gettext as _


def reason(code: str | None, domains: tuple[str, ...]) -> str:
    """Why somebody is not registered with Zoom, and the remedy."""
    if code == "outside the domain":
        return _(
            "Only %(domains)s email addresses can join class meetings.",
            domains=" or ".join(f"@{domain}" for domain in domains),
        )
    return {
        None: "",
        "no address": _("No LRN and no address yet. Add the LRN to the roster and import it again."),
        "shared address": _(
            "Shares an address with another learner. Zoom gives one link per address, so both would count as one."
        ),
        "limit of the day": _("Zoom takes three registrations a day for one address. It goes on at 8:00 AM."),
        "rate limited": _("Waiting for its turn at Zoom."),
        "unavailable": _("Zoom did not answer. The portal tries again by itself."),
        "host": _("This address hosts the meeting, so Zoom cannot register it as a participant."),
        "gone": _("The meeting was deleted at Zoom."),
        "host not licensed": _("The teacher's Zoom account is not licensed, so Zoom registers nobody."),
        "registration off": _("Registration is switched off for this meeting at Zoom."),
        "over": _("The meeting is over at Zoom."),
        "full": _("The meeting is full at Zoom."),
    }.get(code, _("Zoom refused this address."))

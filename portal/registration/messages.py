"""Codes of this package as sentences for the page."""

from flask_babel import gettext as _


def failure_reason_message(code: str | None, domains: tuple[str, ...]) -> str:
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
            "Shares an address with another learner. Zoom gives one link per address, so both would count as one. "
            "Use the LRN address, or put an address of the learner's own into the roster."
        ),
        "limit of the day": _("Zoom takes three registrations a day for one address. It goes on at 8:00 AM."),
        "limit of the account": _("Zoom's limit for today is reached. It goes on by itself at 8:00 AM."),
        "rate limited": _("Waiting for its turn at Zoom."),
        "unavailable": _("Zoom did not answer. The portal tries again by itself."),
        "approval": _("Zoom wants the host to approve this person: do so in Zoom, or wait, the portal tries again."),
        "not configured": _("Zoom is not configured yet. It goes on by itself when it is."),
        "not authorised": _(
            "Zoom does not let the portal register people. Your ICT coordinator checks the Zoom app's permissions."
        ),
        "denied at Zoom": _("The host denied this person in Zoom. Try again to let them in."),
        "cancelled at Zoom": _("Somebody cancelled this registration in Zoom. Try again to register anew."),
        "host": _(
            "This address hosts the meeting or is an alternative host, so Zoom cannot register it as a participant. "
            "A host needs no link."
        ),
        "gone": _("The meeting was deleted at Zoom. Make it again, and everybody is registered anew."),
        "host not licensed": _(
            "The teacher's Zoom account is not licensed, so Zoom registers nobody. Ask your ICT coordinator for a "
            "licence, then try again."
        ),
        "registration off": _(
            "Registration is switched off for this meeting at Zoom. Switch it on there, then try again."
        ),
        "over": _("The meeting is over at Zoom, so nobody can be registered any more."),
        "full": _("The meeting is full at Zoom. Cancel somebody's registration, or let this person use another class."),
    }.get(code, _("Zoom refused this address. Check it in the roster, then try again."))

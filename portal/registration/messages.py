"""Messages: translated sentences for this package's codes."""

from flask_babel import gettext as _

from portal.registration.codes import RegistrationError


def failure_reason_message(code: str | None, domains: tuple[str, ...]) -> str:
    """Why a person is not registered with Zoom, and the remedy."""
    if code == RegistrationError.OUTSIDE_DOMAIN:
        return _(
            "Only %(domains)s email addresses can join class meetings.",
            domains=" or ".join(f"@{domain}" for domain in domains),
        )
    return {
        None: "",
        RegistrationError.NO_ADDRESS: _("No LRN and no address yet. Add the LRN to the roster and import it again."),
        RegistrationError.SHARED_ADDRESS: _(
            "Shares an address with another learner. Zoom gives one link per address, so both would count as one. "
            "Use the LRN address, or put an address of the learner's own into the roster."
        ),
        RegistrationError.DAILY_LIMIT: _(
            "Zoom takes three registrations a day for one address. It goes on at 8:00 AM."
        ),
        RegistrationError.ACCOUNT_LIMIT: _("Zoom's limit for today is reached. It goes on by itself at 8:00 AM."),
        RegistrationError.RATE_LIMITED: _("Waiting for its turn at Zoom."),
        "unavailable": _("Zoom did not answer. The portal tries again by itself."),
        "approval": _("Zoom wants the host to approve this person: do so in Zoom, or wait, the portal tries again."),
        RegistrationError.NOT_CONFIGURED: _("Zoom is not configured yet. It goes on by itself when it is."),
        RegistrationError.NOT_AUTHORISED: _(
            "Zoom does not let the portal register people. Your ICT coordinator checks the Zoom app's permissions."
        ),
        RegistrationError.DENIED_AT_ZOOM: _("The host denied this person in Zoom. Try again to let them in."),
        RegistrationError.CANCELLED_AT_ZOOM: _(
            "Somebody cancelled this registration in Zoom. Try again to register anew."
        ),
        "host": _(
            "This address hosts the meeting or is an alternative host, so Zoom cannot register it as a participant. "
            "A host needs no link."
        ),
        RegistrationError.DELETED_AT_ZOOM: _(
            "The meeting was deleted at Zoom. Make it again, and everybody is registered anew."
        ),
        RegistrationError.HOST_UNLICENSED: _(
            "The teacher's Zoom account is not licensed, so Zoom registers nobody. Ask your ICT coordinator for a "
            "licence, then try again."
        ),
        RegistrationError.REGISTRATION_OFF: _(
            "Registration is switched off for this meeting at Zoom. Switch it on there, then try again."
        ),
        "over": _("The meeting is over at Zoom, so nobody can be registered any more."),
        "full": _("The meeting is full at Zoom. Cancel somebody's registration, or let this person use another class."),
    }.get(code, _("Zoom refused this address. Check it in the roster, then try again."))

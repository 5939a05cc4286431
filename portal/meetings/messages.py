"""Messages: translated sentences for this package's codes."""

from datetime import datetime

from flask_babel import gettext as _

from portal.core.date_format import format_datetime
from portal.meetings.codes import MeetingError, MeetingEvent
from portal.zoom_account.write_block import BlockReason


def meeting_error_message(code: str | None) -> str:
    """Why a meeting could not be created or updated at Zoom, and what to do."""
    messages: dict[str | None, str] = {
        None: "",
        MeetingError.NOT_CONFIGURED: _(
            "Zoom is not configured. Your ICT coordinator enters the Zoom account once; then this goes on by itself."
        ),
        MeetingError.NOT_AUTHORISED: _(
            "Zoom does not let the portal do this. Your ICT coordinator checks the Zoom app's credentials and scopes."
        ),
        MeetingError.CREDENTIALS: _(
            "Zoom does not accept the portal's credentials. Your ICT coordinator checks the Zoom account's settings; "
            "then this goes on by itself."
        ),
        MeetingError.HOST_LIMIT: _(
            "Zoom takes 100 changes a day for one host, and these are used up. The rest waits until 8:00 AM; nothing "
            "is lost."
        ),
        MeetingError.ACCOUNT_LIMIT: _(
            "Zoom's limit for today is reached. The portal goes on by itself when Zoom allows it again."
        ),
        MeetingError.RATE_LIMITED: _(
            "Zoom's limit is reached for now. The portal goes on by itself when Zoom allows it again."
        ),
        MeetingError.UNAVAILABLE: _("Zoom is not answering. Nothing is lost: the portal tries again by itself."),
        MeetingError.DELETED_AT_ZOOM: _("The meeting was deleted at Zoom."),
        MeetingError.HOST_UNKNOWN: _(
            "Zoom has no user with the teacher's address. Ask your ICT coordinator to add the teacher to the "
            "Zoom account."
        ),
        MeetingError.NO_FREE_HOST: _(
            "The teacher has no Zoom user of their own, and all shared Zoom hosts have other classes at that time. "
            "Choose another time, or ask your ICT coordinator for another host."
        ),
        MeetingError.TOO_LATE: _("Its time had passed before Zoom could be reached."),
        MeetingError.OCCURRENCES_MISSING: _(
            "Zoom did not make some of the dates. Cancel those and schedule them as single classes."
        ),
        MeetingError.HOST_UNLICENSED: _(
            "The teacher's Zoom account is not licensed, so learners cannot be registered with Zoom."
        ),
        MeetingError.REGISTRATION_OFF: _("Registration is switched off for this meeting at Zoom."),
        MeetingError.FULL: _("The meeting is full at Zoom."),
        MeetingError.OVER: _("The meeting is over at Zoom."),
    }
    return messages.get(code, _("Zoom refused this. Check the details, or ask your ICT coordinator."))


def meeting_history_message(event: str) -> str:
    """The label of a history event."""
    labels: dict[str, str] = {
        MeetingEvent.SCHEDULED: _("Scheduled"),
        MeetingEvent.CHANGED: _("Changed"),
        MeetingEvent.CANCELLED: _("Cancelled"),
        MeetingEvent.RETRIED: _("Tried again"),
        MeetingEvent.CREATED_AT_ZOOM: _("Made at Zoom"),
        MeetingEvent.CHANGED_AT_ZOOM: _("Change brought to Zoom"),
        MeetingEvent.DELETED_AT_ZOOM: _("Deleted at Zoom"),
        MeetingEvent.ERROR: _("Zoom did not take it, kept here"),
        MeetingEvent.REGISTRATION_STARTED: _("Registration began"),
        MeetingEvent.REGISTRATION_COMPLETE: _("Everybody is registered"),
        MeetingEvent.STARTED: _("Class started"),
        MeetingEvent.ENDED: _("Class ended"),
        MeetingEvent.MOVED_AT_ZOOM: _("Changed in Zoom itself"),
        MeetingEvent.FOUND_DELETED_AT_ZOOM: _("Deleted in Zoom itself"),
        MeetingEvent.RECOVERED_AT_ZOOM: _("Brought back in Zoom itself"),
        MeetingEvent.RECREATED: _("Made again after the deletion at Zoom"),
        MeetingEvent.INVITATIONS_CHANGED: _("Invitations changed"),
        MeetingEvent.OPEN_MODE: _("One link for all, without registration"),
        MeetingEvent.HOST_CHANGED: _("Another Zoom host was chosen"),
        MeetingEvent.OCCURRENCE_MOVED: _("One date moved"),
        MeetingEvent.OCCURRENCE_CANCELLED: _("One date cancelled"),
        MeetingEvent.OCCURRENCE_CANCELLED_AT_ZOOM: _("One date cancelled in Zoom itself"),
        MeetingEvent.OCCURRENCES_CHANGED_AT_ZOOM: _("Single dates brought to Zoom"),
    }
    return labels.get(event, event)


def setting_label(name: str) -> str:
    """The label of a setting for which Zoom has another value than the one sent."""
    return {
        "title": _("Title"),
        "description": _("Description"),
        "starts_at": _("Time"),
        "minutes": _("Minutes"),
        "host_video": _("Your camera on"),
        "participant_video": _("Learners' cameras on"),
        "join_before_host": _("Join before you"),
        "mute_upon_entry": _("Muted on entry"),
        "waiting_room": _("Waiting room"),
        "auto_recording": _("Record"),
        "meeting_authentication": _("Only people signed in to Zoom"),
        "approval_type": _("Who else may register"),
    }.get(name, name)


def setting_value_label(name: str, value: object) -> str:
    """The label of the value that Zoom has instead."""
    if name == "auto_recording":
        return {
            "none": _("Do not record"),
            "local": _("On your computer"),
            "cloud": _("In Zoom's cloud"),
        }.get(str(value), str(value))
    if name == "approval_type":
        return {"0": _("Anybody"), "1": _("With your approval"), "2": _("No registration")}.get(str(value), str(value))
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if name == "starts_at" and isinstance(value, str):
        return format_datetime(datetime.fromisoformat(value))
    return str(value)


def write_block_message(reason: str, detail: str) -> str:
    """Why all writes to Zoom are blocked, for an admin."""
    if reason == BlockReason.SCOPES:
        return _("The Zoom app lacks permissions: %(scopes)s", scopes=detail or _("Zoom did not say which"))
    if reason == BlockReason.NOT_CONFIGURED:
        return _("No Zoom account is entered. Classes are kept here and go to Zoom when it is.")
    return _(
        "Zoom does not accept the portal's credentials. Check ZOOM_ACCOUNT_ID, ZOOM_CLIENT_ID, ZOOM_CLIENT_SECRET."
    )

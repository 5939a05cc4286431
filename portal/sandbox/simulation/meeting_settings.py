"""Meeting settings: Zoom's defaults, allowed values, and the changes Zoom makes by itself."""

from collections.abc import Callable
from typing import Any

from portal.sandbox.simulation.errors import ZoomApiError, invalid_field
from portal.sandbox.simulation.models import JSON

DEFAULTS: JSON = {
    "host_video": False,
    "participant_video": False,
    "cn_meeting": False,
    "in_meeting": False,
    "join_before_host": False,
    "jbh_time": 0,
    "mute_upon_entry": False,
    "watermark": False,
    "use_pmi": False,
    "approval_type": 2,
    "registration_type": 1,
    "audio": "both",
    "auto_recording": "none",
    "enforce_login": False,
    "enforce_login_domains": "",
    "alternative_hosts": "",
    "alternative_hosts_email_notification": True,
    "close_registration": False,
    "show_share_button": False,
    "allow_multiple_devices": False,
    "registrants_confirmation_email": True,
    "registrants_email_notification": True,
    "email_notification": True,
    "waiting_room": False,
    "request_permission_to_unmute_participants": False,
    "meeting_authentication": False,
    "authentication_option": "",
    "authentication_domains": "",
    "authentication_name": "",
    "encryption_type": "enhanced_encryption",
    "approved_or_denied_countries_or_regions": {"enable": False},
    "breakout_room": {"enable": False},
    "contact_name": "",
    "contact_email": "",
    "device_testing": False,
    "focus_mode": False,
    "private_meeting": False,
    "host_save_video_order": False,
    "global_dial_in_countries": [],
    "global_dial_in_numbers": [],
}
CHOICES: dict[str, tuple[Any, ...]] = {
    "approval_type": (0, 1, 2),
    "registration_type": (1, 2, 3),
    "auto_recording": ("none", "local", "cloud"),
    "audio": ("both", "telephony", "voip", "thirdParty"),
    "jbh_time": (0, 5, 10, 15),
}


def merge_meeting_settings(current: JSON, values: object) -> JSON:
    """The old settings updated with the requested values; unknown fields are ignored, as Zoom does.

    :raises ZoomApiError: 400/300 naming the setting.
    """
    if values is None:
        return dict(current)
    if not isinstance(values, dict):
        raise invalid_field("settings")
    merged = dict(current)
    for name, value in values.items():
        if name not in DEFAULTS or value is None:
            continue
        _check_setting(name, value)
        merged[name] = value
    return merged


def _check_setting(name: str, value: object) -> None:
    """Refuse values of the wrong type: Zoom validates against its schema."""
    default = DEFAULTS[name]
    # bool is an int in Python but not for Zoom, hence the exact type.
    if type(value) is not type(default):
        raise invalid_field(f"settings.{name}")
    if name in CHOICES and value not in CHOICES[name]:
        raise invalid_field(f"settings.{name}")


def apply_forced_settings(settings: JSON, password: str) -> JSON:
    """Zoom's security rule: without passcode, waiting room and authentication it turns the waiting room on."""
    if not password and not settings["waiting_room"] and not settings["meeting_authentication"]:
        return settings | {"waiting_room": True}
    return settings


def parse_alternative_hosts(settings: JSON) -> list[str]:
    """The addresses or ids in the setting `alternative_hosts`, split at `;` or `,`."""
    return [name.strip() for name in settings["alternative_hosts"].replace(",", ";").split(";") if name.strip()]


def check_alternative_hosts(settings: JSON, is_licensed: Callable[[str], bool]) -> None:
    """Alternative hosts must be licensed users of the account.

    :raises ZoomApiError: 400; Zoom's code for it is undocumented, so only the status is meaningful.
    """
    for name in parse_alternative_hosts(settings):
        if not is_licensed(name):
            raise ZoomApiError(400, 300, f"Who can not be selected as alternative host: {name}.")

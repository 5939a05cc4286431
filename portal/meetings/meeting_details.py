"""The values of a meeting that a person decides, as forms, policies and the service pass them on."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class MeetingDetails:
    """The values of a meeting that a person decides. `starts_at` is aware UTC."""

    title: str
    description: str
    starts_at: datetime
    minutes: int
    audience: str = "class"
    host_video: bool = True
    participant_video: bool = False
    join_before_host: bool = False
    mute_upon_entry: bool = True
    waiting_room: bool = True
    auto_recording: str = "none"
    meeting_authentication: bool = False
    registration_type: int = 1
    approval_type: int = 1

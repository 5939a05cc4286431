"""What Zoom has otherwise, as people say it."""

import pytest
from flask import Flask

from portal.meetings import messages as meetings_messages


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("starts_at", "2026-11-24T00:30:00+00:00", "Tue 24 Nov, 8:30 AM"),
        ("waiting_room", True, "on"),
        ("minutes", 50, "50"),
        ("auto_recording", "cloud", "In Zoom's cloud"),
    ],
)
@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_a_setting_is_said_as_people_say_it(app: Flask, name: str, value: object, said: str) -> None:
    assert meetings_messages.setting_value_label(name, value) == said

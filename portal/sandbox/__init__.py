"""A pretend Zoom: OAuth, REST and signed webhooks over real HTTP, for the demo, for tests and for developers.

`World` holds the state and Zoom's rules, `Sender` delivers the webhooks, `create_sandbox` is the WSGI app.
It imports nothing of the portal but `portal.zoom.signature`, and it never runs in live mode.
"""

from portal.sandbox.app import create_sandbox
from portal.sandbox.simulation.errors import Refusal
from portal.sandbox.simulation.simulated_zoom import World
from portal.sandbox.webhook_sender import Answer, Sender

__all__ = ["Answer", "Refusal", "Sender", "World", "create_sandbox"]

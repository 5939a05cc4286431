"""Simulated Zoom: OAuth, REST and signed webhooks over real HTTP, for the demo, tests and developers.

`SimulatedZoom` holds the state and Zoom's rules, `WebhookSender` delivers the webhooks, `create_sandbox` makes the WSGI
app. It imports only `portal.zoom` of the portal, and it never runs in live mode.
"""

from portal.sandbox.app import create_sandbox
from portal.sandbox.simulation.errors import ZoomApiError
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookAnswer, WebhookSender

__all__ = ["SimulatedZoom", "WebhookAnswer", "WebhookSender", "ZoomApiError", "create_sandbox"]

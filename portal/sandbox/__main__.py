"""`python -m portal.sandbox`: the simulated Zoom alone, served by waitress until Ctrl-C."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import waitress

from portal.sandbox import defaults
from portal.sandbox.app import create_sandbox
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m portal.sandbox", description="A pretend Zoom.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=defaults.PORT)
    parser.add_argument("--public-url", default="", help="what links begin with; by default http://HOST:PORT")
    parser.add_argument("--portal-url", default="/", help="where 'back to the portal' leads")
    parser.add_argument("--webhook", default="", help="where the events go, as http://.../api/zoom/webhook")
    parser.add_argument("--secret", default=defaults.WEBHOOK_SECRET, help="the webhook's secret")
    parser.add_argument("--store", type=Path, help="a file that keeps the state over restarts")
    parser.add_argument("--plan", default="pro", choices=("free", "pro", "business", "unlimited"))
    parser.add_argument(
        "--host-user",
        dest="hosts",
        action="append",
        default=[],
        help="EMAIL of a licensed host; may be repeated",
    )
    return parser.parse_args(arguments)


def serve_sandbox(
    *,
    port: int = defaults.PORT,
    host: str = "127.0.0.1",
    webhook: str = "",
    secret: str = defaults.WEBHOOK_SECRET,
    store: Path | None = None,
    plan: str = "pro",
    public_url: str = "",
    portal_url: str = "/",
    hosts: Sequence[str] = (),
) -> None:
    """Serve until interrupted.

    :param webhook: URL for the events; without it none are sent.
    :param hosts: addresses of licensed users to create.
    """
    public_url = public_url or f"http://{host}:{port}"
    world = SimulatedZoom(store, plan=plan)
    for email in hosts:
        world.add_user(email, email.partition("@")[0], "")
    sender = WebhookSender(world, webhook, secret) if webhook else None
    app = create_sandbox(world, sender, public_url=public_url, portal_url=portal_url)
    if sender is not None:
        sender.start()
    logging.getLogger("portal.sandbox").info("the simulated Zoom is at %s", public_url)
    try:
        waitress.serve(app, host=host, port=port, threads=16, _quiet=True)
    finally:
        if sender is not None:
            sender.stop()
        world.close()


def run_main(arguments: list[str]) -> None:
    """Serve with the options of the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    serve_sandbox(**vars(parse_arguments(arguments)))


if __name__ == "__main__":
    run_main(sys.argv[1:])

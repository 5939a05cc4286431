"""`python -m portal.sandbox`: the pretend Zoom alone, served by waitress until Ctrl-C."""

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


def parse_arguments(given: list[str]) -> argparse.Namespace:
    """The command line."""
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
    return parser.parse_args(given)


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

    :param webhook: where the events go; none are sent without.
    :param hosts: addresses of licensed users to begin with.
    """
    public_url = public_url or f"http://{host}:{port}"
    world = SimulatedZoom(store, plan=plan)
    for email in hosts:
        world.add_user(email, email.partition("@")[0], "")
    sender = WebhookSender(world, webhook, secret) if webhook else None
    app = create_sandbox(world, sender, public_url=public_url, portal_url=portal_url)
    if sender is not None:
        sender.start()
    logging.getLogger("portal.sandbox").info("the pretend Zoom is at %s", public_url)
    try:
        waitress.serve(app, host=host, port=port, threads=16, _quiet=True)
    finally:
        if sender is not None:
            sender.stop()
        world.close()


def run_main(given: list[str]) -> None:
    """Serve what the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    serve_sandbox(**vars(parse_arguments(given)))


if __name__ == "__main__":
    run_main(sys.argv[1:])

"""Processes that ask Zoom many things at once: `python -m tests.zoom_account.calling_process DATABASE_URL
ZOOM_URL HOST PROCESSES CALLS`. Each of them, forked before it has touched the database, makes that many calls
in as many threads. What is printed is a line for each call that failed, and "done"."""

import logging
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from portal import create_app
from portal.zoom.errors import ZoomError
from portal.zoom_account.client import get_zoom_client
from tests.conftest import settings_for


def main(database_url: str, zoom_url: str, host: str, processes: str, calls: str) -> None:
    logging.disable(logging.CRITICAL)
    app = create_app(settings_for(database_url, zoom_url))
    with app.app_context():
        client = get_zoom_client()

    def call(_: int) -> str:
        try:
            client.get_user(host)
        except ZoomError as error:
            return f"{type(error).__name__}: {error}\n"
        return ""

    children = [_forked(lambda: _all_at_once(call, int(calls))) for _ in range(int(processes))]
    for child in children:
        _, status = os.waitpid(child, 0)
        if status:
            raise SystemExit("a process died")
    sys.stdout.write("done\n")


def _all_at_once(call: Callable[[int], str], calls: int) -> None:
    with ThreadPoolExecutor(calls) as pool:
        for failure in pool.map(call, range(calls)):
            os.write(1, failure.encode())


def _forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return child


if __name__ == "__main__":
    main(*sys.argv[1:])

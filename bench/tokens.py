"""Concurrent calls from many processes, at a Zoom where each new token invalidates the previous one.

`python -m bench.tokens [--processes 4] [--calls 50]`
"""

import argparse
import subprocess
import sys
import time

from bench.databases import fresh, kinds
from bench.pretend_zoom import HOST, portal_at, pretending_here
from portal.core.db import db, end_read_transaction
from portal.zoom_account.client import get_zoom_client


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--calls", type=int, default=50)
    options = parser.parse_args()
    for database in kinds():
        for begin in ("no token yet", "a token that was revoked"):
            run(database, begin, options.processes, options.calls)


def run(database: str, begin: str, processes: int, calls: int) -> None:
    with fresh(database) as url, pretending_here() as (world, pretend):
        app = portal_at(url, pretend)
        world.switches.revoke_old_on_issue = True
        with app.app_context():
            if begin != "no token yet":
                get_zoom_client().get_user(HOST)
                world.revoke_tokens()
            end_read_transaction()
            db.session.remove()
            db.engine.dispose()
        minted = world.count("POST", "oauth").calls
        command = [sys.executable, "-m", "tests.zoom_account.calling_process"]
        started_at = time.perf_counter()
        output = subprocess.run(
            [*command, url, pretend.url, HOST, str(processes), str(calls)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        seconds = time.perf_counter() - started_at
        failed = len(output.splitlines()) - 1
        minted = world.count("POST", "oauth").calls - minted
    print(
        f"{database}, {begin}: {processes} processes x {calls} calls at once: {failed} failed, {minted} tokens "
        f"minted (limit 2), {seconds:.1f} s with the start of the processes"
    )


if __name__ == "__main__":
    main()

"""Crash test: kill the registration engine at every step of a class and continue in another process; no learner may be
registered twice or skipped. `python -m bench.registration_kills [--learners 45] [--kind scheduled recurring] [--every
1]`"""

import argparse
import time

from sqlalchemy import delete, select, update

from bench.databases import fresh, kinds
from bench.pretend_zoom import DOMAINS, School, portal_at, pretending_here
from portal.core.db import db, end_read_transaction, write_transaction
from portal.meetings.models import ZoomMeeting
from portal.registration import desired_registrants
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.zoom.models import MeetingDraft
from portal.zoom_account.client import get_zoom_client
from tests.registration.crashing_engine import CrashingEngine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learners", type=int, default=45)
    parser.add_argument("--kind", nargs="+", choices=["scheduled", "recurring"], default=["scheduled", "recurring"])
    parser.add_argument("--every", type=int, default=1, help="only every n-th moment")
    parser.add_argument("--database", nargs="+", default=None)
    options = parser.parse_args()
    for database in options.database or kinds():
        for kind in options.kind:
            run(database, kind, options.learners, options.every)


def run(database: str, kind: str, learners: int, every: int) -> None:
    started_at = time.perf_counter()
    with fresh(database) as url, pretending_here() as (world, pretend):
        app = portal_at(url, pretend)
        with app.app_context(), CrashingEngine(url, pretend.url) as engine:
            # each step needs a new meeting, and there are more than Zoom's 100 a day
            world.limits.host_per_day = 10_000
            school = School()
            meeting = school.meeting(school.section(learners), pretend, app, kind)
            desired_registrants.sync_registrant_rows(DOMAINS)
            end_read_transaction()
            moments = engine.run(meeting.id)["moments"]
            deaths, doubled, skipped, most_posts, posts = 0, 0, 0, 0, 0
            rounds = range(1, moments + 1, every)
            for moment in rounds:
                _reset_registration(meeting)
                deaths += engine.run(meeting.id, die_at=moment)["died"]
                engine.run(meeting.id, minutes=3)
                counts = _count_results(world, meeting, learners)
                doubled += counts[0]
                skipped += counts[1]
                most_posts = max(most_posts, counts[2])
                posts += counts[3]
            db.session.remove()
            db.engine.dispose()
    print(
        f"{database}, {kind}: {learners} learners, killed at {deaths} of {len(rounds)} moments ({moments} in all): "
        f"{doubled} registered twice, {skipped} skipped, at most {most_posts} posts for one learner (limit 2), "
        f"{posts / len(rounds) / learners:.3f} on average; {time.perf_counter() - started_at:.0f} s"
    )


def _reset_registration(meeting: ZoomMeeting) -> None:
    draft = MeetingDraft(topic="x", starts_at=meeting.starts_at)
    end_read_transaction()
    created = get_zoom_client().create_meeting(meeting.host_email, draft)
    with write_transaction() as session:
        session.execute(update(ZoomMeeting).where(ZoomMeeting.id == meeting.id).values(zoom_id=created.id))
        session.execute(delete(MeetingRegistrant))
    desired_registrants.sync_registrant_rows(DOMAINS)
    end_read_transaction()


def _count_results(world: SimulatedZoom, meeting: ZoomMeeting, learners: int) -> tuple[int, int, int, int]:
    """Learners registered twice, learners skipped, maximum posts for one learner, and all posts, at the simulated
    Zoom."""
    zoom_id = str(db.session.scalars(select(ZoomMeeting.zoom_id).where(ZoomMeeting.id == meeting.id)).one())
    rows = set(
        db.session.scalars(select(MeetingRegistrant.zoom_registrant_id).where(MeetingRegistrant.state == "registered"))
    )
    end_read_transaction()
    active = world.active_registrants(zoom_id)
    emails = {one.email for one in active}
    known_ids = {one.id for one in active} & rows
    posts = [world.registration_posts(zoom_id, email) for email in emails]
    return len(active) - len(emails), learners - min(len(emails), len(known_ids)), max(posts, default=0), sum(posts)


if __name__ == "__main__":
    main()

"""Zoom's daily limit of three registrations for one address (reset at 00:00 UTC, 08:00 in Manila).

Zoom documents it as counted for each meeting; one user reported it as counted over all meetings. The portal
assumes the documented mode until Zoom refuses what that allows, then switches to the other mode for good.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, union_all, update

from portal.core import clock
from portal.core.db import db, insert_if_absent, write_transaction
from portal.registration.models import DailyPostLimit, FormerRegistrant, MeetingRegistrant

POSTS_PER_DAY = 3


def zoom_day_start() -> datetime:
    """The start of Zoom's day, 00:00 UTC."""
    return clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def next_zoom_day() -> datetime:
    """The next reset of the limit."""
    return zoom_day_start() + timedelta(days=1)


def is_limit_across_meetings() -> bool:
    return bool(db.session.scalar(select(DailyPostLimit.counts_all_meetings).where(DailyPostLimit.id == 1)))


def set_daily_limit_scope(yes: bool) -> None:
    """Store Zoom's counting mode; `yes`: over all meetings."""
    now = clock.now()
    with write_transaction() as session:
        if not insert_if_absent(DailyPostLimit, {"id": 1, "counts_all_meetings": yes, "learned_at": now}, ["id"]):
            session.execute(update(DailyPostLimit).values(counts_all_meetings=yes, learned_at=now))


def count_posts_today(addresses: Iterable[str], meeting_id: UUID | None) -> dict[str, int]:
    """Registration requests of today by address, for one meeting, or with None for all."""
    email_list = list(addresses)
    statements = []
    for table in (MeetingRegistrant, FormerRegistrant):
        statement = select(table.email, table.posts_today).where(
            table.email.in_(email_list), table.posts_counted_since == zoom_day_start()
        )
        statements.append(statement if meeting_id is None else statement.where(table.meeting_id == meeting_id))
    all_posts = union_all(*statements).subquery()
    rows = db.session.execute(select(all_posts.c.email, func.sum(all_posts.c.posts_today)).group_by(all_posts.c.email))
    return {email: int(total) for email, total in rows}


def addresses_over_limit(addresses: Iterable[str], meeting_id: UUID) -> set[str]:
    """The addresses whose limit for this meeting is used up today."""
    across_meetings = is_limit_across_meetings()
    counts = count_posts_today(addresses, None if across_meetings else meeting_id)
    return {address for address, posts in counts.items() if posts >= POSTS_PER_DAY}


def learn_counting_mode(address: str, meeting_id: UUID) -> None:
    """Detect the counting mode from a refusal: if the meeting's own three posts were not used up, but those of all
    meetings together were, Zoom counts over all meetings. The refused post is included in the counts."""
    posts_of_meeting = count_posts_today([address], meeting_id).get(address, 0)
    posts_of_all_meetings = count_posts_today([address], None).get(address, 0)
    if posts_of_meeting <= POSTS_PER_DAY < posts_of_all_meetings and not is_limit_across_meetings():
        set_daily_limit_scope(True)

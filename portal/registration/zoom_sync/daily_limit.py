"""Zoom's limit of three registrations a day for one address (reset at 00:00 UTC, 08:00 in Manila).

Zoom's pages count it for each meeting; one user reported it as counted over all meetings. The portal
believes the pages until Zoom refuses what they allow, then it counts the other way and remembers that.
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
    """The beginning of Zoom's day."""
    return clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def next_zoom_day() -> datetime:
    """When Zoom counts anew."""
    return zoom_day_start() + timedelta(days=1)


def is_limit_across_meetings() -> bool:
    return bool(db.session.scalar(select(DailyPostLimit.counts_all_meetings).where(DailyPostLimit.id == 1)))


def set_daily_limit_scope(yes: bool) -> None:
    """Remember how Zoom counts."""
    now = clock.now()
    with write_transaction() as session:
        if not insert_if_absent(DailyPostLimit, {"id": 1, "counts_all_meetings": yes, "learned_at": now}, ["id"]):
            session.execute(update(DailyPostLimit).values(counts_all_meetings=yes, learned_at=now))


def count_posts_today(addresses: Iterable[str], meeting_id: UUID | None) -> dict[str, int]:
    """How often each address was sent to Zoom today, for one meeting, or with None for all of them."""
    asked = list(addresses)
    parts = []
    for table in (MeetingRegistrant, FormerRegistrant):
        part = select(table.email, table.posts_today).where(
            table.email.in_(asked), table.posts_counted_since == zoom_day_start()
        )
        parts.append(part if meeting_id is None else part.where(table.meeting_id == meeting_id))
    both = union_all(*parts).subquery()
    rows = db.session.execute(select(both.c.email, func.sum(both.c.posts_today)).group_by(both.c.email))
    return {email: int(number) for email, number in rows}


def addresses_over_limit(addresses: Iterable[str], meeting_id: UUID) -> set[str]:
    """Those of the addresses that Zoom takes no more for this meeting today."""
    over_all = is_limit_across_meetings()
    counts = count_posts_today(addresses, None if over_all else meeting_id)
    return {address for address, number in counts.items() if number >= POSTS_PER_DAY}


def learn_counting_mode(address: str, meeting_id: UUID) -> None:
    """Zoom refused an address for the day. Where the meeting's own three posts were not used up, but those of
    all meetings together were, Zoom counts over all meetings. The refused post is among those counted."""
    here = count_posts_today([address], meeting_id).get(address, 0)
    everywhere = count_posts_today([address], None).get(address, 0)
    if here <= POSTS_PER_DAY < everywhere and not is_limit_across_meetings():
        set_daily_limit_scope(True)

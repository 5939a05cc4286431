"""Zoom's limit of three registrations a day for one address (reset at 00:00 UTC, 08:00 in Manila).

Zoom's pages count it for each meeting; one user reported it as counted over all meetings. The portal
believes the pages until Zoom refuses what they allow, then it counts the other way and remembers that.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, union_all, update

from portal.core import clock
from portal.core.db import db, insert_once, writing
from portal.registration.models import FormerRegistrant, MeetingRegistrant, PostLimit

POSTS_A_DAY = 3


def today() -> datetime:
    """The beginning of Zoom's day."""
    return clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def tomorrow() -> datetime:
    """When Zoom counts anew."""
    return today() + timedelta(days=1)


def counts_over_all_meetings() -> bool:
    return bool(db.session.scalar(select(PostLimit.over_all_meetings).where(PostLimit.id == 1)))


def count_over_all_meetings(yes: bool) -> None:
    """Remember how Zoom counts."""
    now = clock.now()
    with writing() as session:
        if not insert_once(PostLimit, {"id": 1, "over_all_meetings": yes, "learned_at": now}, ["id"]):
            session.execute(update(PostLimit).values(over_all_meetings=yes, learned_at=now))


def sent_today(addresses: Iterable[str], meeting_id: UUID | None) -> dict[str, int]:
    """How often each address was sent to Zoom today, for one meeting, or with None for all of them."""
    asked = list(addresses)
    parts = []
    for table in (MeetingRegistrant, FormerRegistrant):
        part = select(table.email, table.posts).where(table.email.in_(asked), table.posts_day == today())
        parts.append(part if meeting_id is None else part.where(table.meeting_id == meeting_id))
    both = union_all(*parts).subquery()
    rows = db.session.execute(select(both.c.email, func.sum(both.c.posts)).group_by(both.c.email))
    return {email: int(number) for email, number in rows}


def spent(addresses: Iterable[str], meeting_id: UUID) -> set[str]:
    """Those of the addresses that Zoom takes no more for this meeting today."""
    over_all = counts_over_all_meetings()
    counts = sent_today(addresses, None if over_all else meeting_id)
    return {address for address, number in counts.items() if number >= POSTS_A_DAY}


def learn_from_refusal(address: str, meeting_id: UUID) -> None:
    """Zoom refused an address for the day. Where the meeting's own three posts were not used up, but those of
    all meetings together were, Zoom counts over all meetings. The refused post is among those counted."""
    here = sent_today([address], meeting_id).get(address, 0)
    everywhere = sent_today([address], None).get(address, 0)
    if here <= POSTS_A_DAY < everywhere and not counts_over_all_meetings():
        count_over_all_meetings(True)

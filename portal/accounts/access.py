"""Who may see what: admins by their scope. Teachers' own classes are a matter of `classes.access`."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, false, select, true

from portal.accounts.models import School, User


class AccessScope(NamedTuple):
    """What the conditions on what a person may see follow from: statements that pages send at every look are kept by
    it, since building one takes longer than sending it."""

    id: UUID
    scope: str | None
    school_id: UUID | None
    is_admin: bool


STATEMENT_CACHE_SIZE = 128  # statements of one kind, each for one person's rights


def access_scope_of(user: User) -> AccessScope:
    return AccessScope(user.id, user.scope, user.school_id, user.is_admin)


def schools_in_scope_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """A condition on School: those an admin looks after. Nothing for a teacher."""
    if user.scope == "region":
        return true()
    if user.scope == "division":
        own = select(School.division).where(School.id == user.school_id).correlate(None)
        return School.division == own.scalar_subquery()
    if user.scope == "school":
        return School.id == user.school_id
    return false()

"""Access scopes of admins. Access to classes and sections is in `classes.access`."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, false, select, true

from portal.accounts.models import School, User


class AccessScope(NamedTuple):
    """The user attributes on which access conditions depend; the cache key of statements sent on every page, as
    building one takes longer than executing it."""

    id: UUID
    scope: str | None
    school_id: UUID | None
    is_admin: bool


STATEMENT_CACHE_SIZE = 128  # maximum number of cached statements of one kind, one per AccessScope


def access_scope_of(user: User) -> AccessScope:
    """The user's access scope."""
    return AccessScope(user.id, user.scope, user.school_id, user.is_admin)


def schools_in_scope_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """Condition on School: in the admin's scope; false for teachers."""
    if user.scope == "region":
        return true()
    if user.scope == "division":
        own_division = select(School.division).where(School.id == user.school_id).correlate(None)
        return School.division == own_division.scalar_subquery()
    if user.scope == "school":
        return School.id == user.school_id
    return false()

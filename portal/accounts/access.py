"""Who may see what: admins by their scope. Teachers' own classes are a matter of `classes.access`."""

from sqlalchemy import ColumnElement, false, select, true

from portal.accounts.models import School, User


def schools_in_scope(user: User) -> ColumnElement[bool]:
    """A condition on School: those an admin looks after. Nothing for a teacher."""
    if user.scope == "region":
        return true()
    if user.scope == "division":
        own = select(School.division).where(School.id == user.school_id).correlate(None)
        return School.division == own.scalar_subquery()
    if user.scope == "school":
        return School.id == user.school_id
    return false()

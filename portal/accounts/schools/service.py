"""Administration of schools: a region admin adds any, a division admin those of the division, a school admin only sees
their own."""

from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.accounts.access import schools_in_scope_clause
from portal.accounts.models import School, User
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction


class SchoolIdTaken(ValueError):
    """Another school has this DepEd ID."""


class SchoolNotInScope(ValueError):
    """The admin may not edit schools, or not those of this division."""


def can_edit_schools(admin: User) -> bool:
    """True for region and division admins; school admins may only read."""
    return admin.scope in ("region", "division")


def get_school_in_scope(admin: User, school_id: UUID) -> School | None:
    """A school in the admin's scope, or None."""
    return db.session.scalar(select(School).where(School.id == school_id, schools_in_scope_clause(admin)))


def list_divisions_in_scope() -> list[str]:
    """The names of all divisions, sorted."""
    return list(db.session.scalars(select(School.division).distinct().order_by(School.division)))


def create_school(admin: User, *, deped_id: str, name: str, division: str) -> School:
    """Create a school; for a division admin in their own division, whatever `division` says. Raises SchoolIdTaken and
    SchoolNotInScope."""
    school = School(
        id=uuid4(),
        deped_id=deped_id,
        name=_collapse_spaces(name),
        division=_division_for(admin, division),
        created_at=clock.now(),
    )
    if admin.school:
        school.region = admin.school.region
    _save_school(school, "added", admin)
    return school


def update_school(admin: User, school: School, *, deped_id: str, name: str, division: str) -> None:
    """Change ID, name or division of a school in scope. Raises SchoolIdTaken and SchoolNotInScope."""
    values = {"deped_id": deped_id, "name": _collapse_spaces(name), "division": _division_for(admin, division)}
    _save_school(
        school, "changed", admin, **{key: value for key, value in values.items() if getattr(school, key) != value}
    )


def _save_school(school: School, action: str, admin: User, **values: str) -> None:
    try:
        with write_transaction() as session:
            if session.scalar(
                select(School.id).where(
                    School.deped_id == values.get("deped_id", school.deped_id), School.id != school.id
                )
            ):
                raise SchoolIdTaken(school.deped_id)
            for name, value in values.items():
                setattr(school, name, value)
            session.add(school)
            session.flush()
            audit_log.record_action(action, AuditSubject.SCHOOL, school.id, by=admin.id, fields=sorted(values))
    except IntegrityError as error:  # unique constraint: another admin adds the same school at this moment
        raise SchoolIdTaken(school.deped_id) from error


def close_school(admin: User, school: School) -> None:
    """Close a school for new users; existing rows stay. Raises SchoolNotInScope."""
    _set_closed(admin, school, closed=True)


def reopen_school(admin: User, school: School) -> None:
    """Reopen a closed school. Raises SchoolNotInScope."""
    _set_closed(admin, school, closed=False)


def _set_closed(admin: User, school: School, *, closed: bool) -> None:
    if not can_edit_schools(admin):
        raise SchoolNotInScope(school.deped_id)
    with write_transaction():
        if (school.closed_at is not None) == closed:
            return
        school.closed_at = clock.now() if closed else None
        audit_log.record_action(
            AuditAction.CLOSED if closed else AuditAction.OPENED, AuditSubject.SCHOOL, school.id, by=admin.id
        )


def _division_for(admin: User, division: str) -> str:
    """The division in its existing spelling, so that a difference in case does not create a second one."""
    if not can_edit_schools(admin):
        raise SchoolNotInScope(division)
    if admin.scope == "division":
        return admin.school.division if admin.school else ""
    name = _collapse_spaces(division)
    return next((existing for existing in list_divisions_in_scope() if existing.casefold() == name.casefold()), name)


def _collapse_spaces(text: str) -> str:
    return " ".join(text.split())

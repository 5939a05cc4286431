"""Schools, as admins look after them: the region adds any, a division its own, a school only sees itself."""

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
    """The admin looks after one school, or the division is another's."""


def can_edit_schools(admin: User) -> bool:
    """True for admins of the region and of a division; those of a school look only."""
    return admin.scope in ("region", "division")


def get_school_in_scope(admin: User, school_id: UUID) -> School | None:
    """A school in scope."""
    return db.session.scalar(select(School).where(School.id == school_id, schools_in_scope_clause(admin)))


def list_divisions_in_scope() -> list[str]:
    """The divisions there are, in order of the alphabet."""
    return list(db.session.scalars(select(School.division).distinct().order_by(School.division)))


def create_school(admin: User, *, deped_id: str, name: str, division: str) -> School:
    """A new school. An admin of a division adds to their own, whatever `division` says. Raises SchoolIdTaken and
    SchoolNotInScope."""
    school = School(
        id=uuid4(),
        deped_id=deped_id,
        name=_one_line(name),
        division=_division_for(admin, division),
        created_at=clock.now(),
    )
    if admin.school:
        school.region = admin.school.region
    _save(school, "added", admin)
    return school


def update_school(admin: User, school: School, *, deped_id: str, name: str, division: str) -> None:
    """Another ID, name or division of a school in scope. Raises SchoolIdTaken and SchoolNotInScope."""
    wanted = {"deped_id": deped_id, "name": _one_line(name), "division": _division_for(admin, division)}
    _save(school, "changed", admin, **{key: value for key, value in wanted.items() if getattr(school, key) != value})


def _save(school: School, action: str, admin: User, **values: str) -> None:
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
    except IntegrityError as both:  # somebody else adds the same one at this moment
        raise SchoolIdTaken(school.deped_id) from both


def close_school(admin: User, school: School) -> None:
    """No new people from now on; who and what is there stays. Raises SchoolNotInScope."""
    _set_closed(admin, school, closed=True)


def reopen_school(admin: User, school: School) -> None:
    """The school takes people again. Raises SchoolNotInScope."""
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
    """A division as it is written already, so that one slip does not make two of it."""
    if not can_edit_schools(admin):
        raise SchoolNotInScope(division)
    if admin.scope == "division":
        return admin.school.division if admin.school else ""
    wanted = _one_line(division)
    return next((known for known in list_divisions_in_scope() if known.casefold() == wanted.casefold()), wanted)


def _one_line(text: str) -> str:
    return " ".join(text.split())

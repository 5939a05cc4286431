"""Import of users from a CSV with the columns of TEMPLATE: previewed, then all invited or none."""

import re
from dataclasses import dataclass, replace

from flask_babel import gettext as _
from sqlalchemy import select

from portal.accounts.access import schools_in_scope_clause
from portal.accounts.email_domain import EmailDomainError, is_learner_address, normalise_school_email
from portal.accounts.models import School, User
from portal.accounts.users import service
from portal.core import csv_tables
from portal.core.db import db
from portal.core.settings import current_settings

MAX_ROWS = 200  # limits the transaction that creates the invitations
NAME_LIMIT = 120
COLUMNS = {
    "email": {"email", "emailaddress", "depedemail"},
    "name": {"name", "fullname"},
    "role": {"role"},
    "scope": {"scope"},
    "school_id": {"schoolid", "school"},
}
TEMPLATE = "email,name,role,scope,school id\r\n"


@dataclass(frozen=True)
class ParsedInvitation:
    """The valid values of a row."""

    address: str
    full_name: str
    scope: str | None  # an admin's scope; None for a teacher
    school: School | None


@dataclass(frozen=True)
class UserImportRow:
    """One row of the file. `invitation` is set if it has no problems; `problems` are translated sentences."""

    number: int
    invitation: ParsedInvitation | None
    problems: tuple[str, ...]


def parse_users_csv(admin: User, data: bytes) -> list[UserImportRow]:
    """Parse and validate all rows, in three statements.

    Raises CsvError if the file cannot be parsed; see `csv_tables.csv_error_message`.
    """
    table = csv_tables.parse_delimited_table(data, COLUMNS, max_rows=MAX_ROWS)
    ids = {cells["school_id"] for _number, cells in table}
    rows_in_scope = db.session.scalars(select(School).where(School.deped_id.in_(ids), schools_in_scope_clause(admin)))
    schools = {school.deped_id: school for school in rows_in_scope}
    rows = [_parse_row(admin, number, cells, schools) for number, cells in table]
    addresses = {row.invitation.address for row in rows if row.invitation}
    existing = set(db.session.scalars(select(User.email).where(User.email.in_(addresses))))
    first_rows: dict[str, int] = {}
    return [_check_unique(row, existing, first_rows) for row in rows]


def invite_parsed_users(admin: User, rows: list[UserImportRow]) -> list[tuple[User, str]]:
    """Create all accounts in one transaction; each with its invitation link, which is mailed as well.

    Raises UserChangeRefused, e.g. if another admin has invited one of them meanwhile: then none is created.
    """
    invited = [
        service.NewUser(found.address, found.full_name, found.scope, found.school)
        for found in (row.invitation for row in rows)
        if found
    ]
    return service.create_invited_users(admin, invited, "en")


def _parse_row(admin: User, number: int, cells: dict[str, str], schools: dict[str, School]) -> UserImportRow:
    problems: list[str] = []
    address = _parse_address(number, cells["email"], problems)
    if not cells["name"]:
        problems.append(_("Row %(row)s has no name. Write the person's name.", row=number))
    elif len(cells["name"]) > NAME_LIMIT:
        problems.append(_("Row %(row)s: the name is too long. At most %(most)s letters.", row=number, most=NAME_LIMIT))
    scope = _parse_scope(admin, number, cells, problems)
    school = _find_school(admin, number, cells["school_id"], scope, schools, problems)
    if problems:
        return UserImportRow(number, None, tuple(problems))
    return UserImportRow(number, ParsedInvitation(address, cells["name"], scope, school), ())


def _parse_address(number: int, text: str, problems: list[str]) -> str:
    settings = current_settings()
    try:
        address = normalise_school_email(text, settings.email_domains)
    except EmailDomainError as error:
        domains = _(" or ").join(f"@{domain}" for domain in error.domains)
        problems.append(
            _(
                "Row %(row)s: “%(value)s” is no address at %(domains)s. Only those can have an account.",
                row=number,
                value=text[:60],
                domains=domains,
            )
        )
        return ""
    if is_learner_address(address):
        problems.append(_("Row %(row)s: an address of 12 digits is a learner's. Learners need no account.", row=number))
    return address


def _parse_scope(admin: User, number: int, cells: dict[str, str], problems: list[str]) -> str | None:
    role, scope = cells["role"].lower(), cells["scope"].lower()
    if role not in ("teacher", "admin"):
        problems.append(
            _("Row %(row)s: the role “%(value)s” is not known. Write teacher or admin.", row=number, value=role[:40])
        )
    elif role == "teacher":
        if scope:
            problems.append(_("Row %(row)s: a teacher has no scope. Leave it empty.", row=number))
        return None
    elif scope not in ("school", "division", "region"):
        problems.append(
            _(
                "Row %(row)s: the scope “%(value)s” of an admin is not known. Write school, division or region.",
                row=number,
                value=scope[:40],
            )
        )
    elif service.SCOPE_RANKS[scope] > service.SCOPE_RANKS[admin.scope]:
        problems.append(_("Row %(row)s: an admin of the %(scope)s is above your own rights.", row=number, scope=scope))
    else:
        return scope
    return None


def _find_school(
    admin: User, number: int, text: str, scope: str | None, schools: dict[str, School], problems: list[str]
) -> School | None:
    """The row's school. A school admin may leave it empty; region admins may have none."""
    if not text and scope == "region":
        return None
    if not text and admin.scope == "school":
        return admin.school
    if not re.fullmatch(r"[0-9]{6}", text):
        problems.append(
            _("Row %(row)s: the school ID “%(value)s” does not have 6 digits.", row=number, value=text[:20])
        )
        return None
    school = schools.get(text)
    if school is None or school.closed_at:
        problems.append(
            _(
                "Row %(row)s: no open school of yours has the ID %(value)s. Correct it, or add the school first.",
                row=number,
                value=text,
            )
        )
    return school


def _check_unique(row: UserImportRow, existing: set[str], first_rows: dict[str, int]) -> UserImportRow:
    """The row, with a problem if its address has an account already or is in an earlier row."""
    if row.invitation is None:
        return row
    address = row.invitation.address
    first_row = first_rows.setdefault(address, row.number)
    if first_row != row.number:
        problem = _(
            "Row %(row)s: %(address)s is in row %(before)s already. Take one of them out.",
            row=row.number,
            address=address,
            before=first_row,
        )
    elif address in existing:
        problem = _(
            "Row %(row)s: %(address)s has an account already. Take the row out.", row=row.number, address=address
        )
    else:
        return row
    return replace(row, invitation=None, problems=(problem,))

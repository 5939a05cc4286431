"""Many people from a CSV with the columns of TEMPLATE: looked at, then invited, all or none."""

import re
from dataclasses import dataclass, replace

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import select

from portal.accounts.access import schools_in_scope_clause
from portal.accounts.email_domain import EmailDomainError, is_learner_address, normalise_school_email
from portal.accounts.models import School, User
from portal.accounts.users import service
from portal.config import Settings
from portal.core import csv_tables
from portal.core.db import db, write_transaction

MAX_ROWS = 200  # invitations that one transaction makes while others wait
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
    address: str
    full_name: str
    scope: str | None  # of an admin; None for a teacher
    school: School | None


@dataclass(frozen=True)
class UserImportRow:
    """One row of the file. `invitation` is there where nothing is wrong; `problems` are sentences."""

    number: int
    invitation: ParsedInvitation | None
    problems: tuple[str, ...]


def parse_users_csv(admin: User, data: bytes) -> list[UserImportRow]:
    """The rows with their problems, all at once, in three statements.

    Raises:
        TableUnreadable: there is nothing to show; see `csv_text.sentence`.
    """
    table = csv_tables.parse_delimited_table(data, COLUMNS, most=MAX_ROWS)
    ids = {cells["school_id"] for _number, cells in table}
    found = db.session.scalars(select(School).where(School.deped_id.in_(ids), schools_in_scope_clause(admin)))
    schools = {school.deped_id: school for school in found}
    rows = [_row(admin, number, cells, schools) for number, cells in table]
    addresses = {row.invitation.address for row in rows if row.invitation}
    known = set(db.session.scalars(select(User.email).where(User.email.in_(addresses))))
    first: dict[str, int] = {}
    return [_once(row, known, first) for row in rows]


def invite_parsed_users(admin: User, rows: list[UserImportRow]) -> list[tuple[User, str]]:
    """Make all accounts, in one transaction; each with its invitation link, which is mailed as well.

    Raises Refused, e.g. where somebody else has invited one of them meanwhile: then none is made.
    """
    invitations = [row.invitation for row in rows if row.invitation]
    with write_transaction():
        return [
            service.create_invited_user(
                admin, invitation.address, invitation.full_name, invitation.scope, invitation.school, "en"
            )
            for invitation in invitations
        ]


def _row(admin: User, number: int, cells: dict[str, str], schools: dict[str, School]) -> UserImportRow:
    problems: list[str] = []
    address = _address(number, cells["email"], problems)
    if not cells["name"]:
        problems.append(_("Row %(row)s has no name. Write the person's name.", row=number))
    elif len(cells["name"]) > NAME_LIMIT:
        problems.append(_("Row %(row)s: the name is too long. At most %(most)s letters.", row=number, most=NAME_LIMIT))
    scope = _scope(admin, number, cells, problems)
    school = _school(admin, number, cells["school_id"], scope, schools, problems)
    if problems:
        return UserImportRow(number, None, tuple(problems))
    return UserImportRow(number, ParsedInvitation(address, cells["name"], scope, school), ())


def _address(number: int, text: str, problems: list[str]) -> str:
    settings: Settings = current_app.extensions["silid.settings"]
    try:
        address = normalise_school_email(text, settings.email_domains)
    except EmailDomainError as refused:
        domains = _(" or ").join(f"@{domain}" for domain in refused.domains)
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


def _scope(admin: User, number: int, cells: dict[str, str], problems: list[str]) -> str | None:
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


def _school(
    admin: User, number: int, text: str, scope: str | None, schools: dict[str, School], problems: list[str]
) -> School | None:
    """The school of the row. Who looks after one school need not write it; the region's admins may have none."""
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


def _once(row: UserImportRow, known: set[str], first: dict[str, int]) -> UserImportRow:
    """The row, unless its address has an account already or stands further up."""
    if row.invitation is None:
        return row
    address = row.invitation.address
    before = first.setdefault(address, row.number)
    if before != row.number:
        problem = _(
            "Row %(row)s: %(address)s is in row %(before)s already. Take one of them out.",
            row=row.number,
            address=address,
            before=before,
        )
    elif address in known:
        problem = _(
            "Row %(row)s: %(address)s has an account already. Take the row out.", row=row.number, address=address
        )
    else:
        return row
    return replace(row, invitation=None, problems=(problem,))

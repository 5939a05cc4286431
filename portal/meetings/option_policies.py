"""Option policies: an admin's rules for Zoom's options (forced on, default on, default off, not allowed).

A wider scope's "forced on" and "not allowed" override a narrower scope; among defaults the narrowest wins.
They apply to meetings scheduled or changed from then on. Existing meetings keep their options.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, and_, delete, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.models import School, User
from portal.classes.models import SchoolClass, Section
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction
from portal.core.db import (
    Model,
    UuidPrimaryKey,
    db,
    one_of_check,
    write_transaction,
)
from portal.meetings.codes import PolicyRule
from portal.meetings.meeting_details import MeetingDetails

POLICY_OPTIONS = (
    "waiting_room",
    "mute_upon_entry",
    "join_before_host",
    "host_video",
    "participant_video",
    "auto_recording",
    "meeting_authentication",
)
FORCED, ON, OFF, NEVER = POLICY_RULES = (
    PolicyRule.FORCED_ON,
    PolicyRule.DEFAULT_ON,
    PolicyRule.DEFAULT_OFF,
    PolicyRule.NOT_ALLOWED,
)
WIDEST_FIRST = ("region", "division", "school")
RECORDING_ON = "cloud"  # the value of "on" for recording, which is not a boolean


class OptionPolicy(UuidPrimaryKey, Model):
    """A region's, division's or school's rule for one option. `scope_key`: empty, division, or school id."""

    __tablename__ = "option_policies"
    __table_args__ = (
        UniqueConstraint("scope", "scope_key", "option"),
        CheckConstraint("scope IN ('region', 'division', 'school')", name="scope"),
        CheckConstraint(
            "option IN ('host_video', 'participant_video', 'join_before_host', 'mute_upon_entry', 'waiting_room', "
            "'auto_recording', 'meeting_authentication')",
            name="option",
        ),
        CheckConstraint(one_of_check("rule", PolicyRule), name="rule"),
    )

    scope: Mapped[str] = mapped_column(String(10))
    scope_key: Mapped[str] = mapped_column(String(120), default="")
    option: Mapped[str] = mapped_column(String(40))
    rule: Mapped[str] = mapped_column(String(20))
    set_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    set_at: Mapped[datetime]


@dataclass(frozen=True)
class EffectivePolicy:
    """The rule in effect for one option, and the scope that set it."""

    option: str
    rule: str
    scope: str

    @property
    def is_fixed(self) -> bool:
        """Narrower scopes and teachers cannot choose."""
        return self.rule in (FORCED, NEVER)

    @property
    def value(self) -> bool | str:
        """The forced value, or the default shown in the form."""
        on = self.rule in (FORCED, ON)
        return (RECORDING_ON if on else "none") if self.option == "auto_recording" else on


EffectivePolicies = Mapping[str, EffectivePolicy]


def policy_scope_key(scope: str, school: School | None) -> str:
    """The `scope_key` of the region, or of the school or its division."""
    if scope == "region" or school is None:
        return ""
    return school.division if scope == "division" else school.id.hex


def own_policies(scope: str, school: School | None) -> dict[str, str]:
    """The rules that one scope itself has set: rule by option."""
    rows = db.session.execute(
        select(OptionPolicy.option, OptionPolicy.rule).where(
            OptionPolicy.scope == scope, OptionPolicy.scope_key == policy_scope_key(scope, school)
        )
    )
    return dict(rows.all())


def effective_policies(school: School | None, *, above: str = "") -> dict[str, EffectivePolicy]:
    """The policies in effect for a school's meetings, by option; options without a rule are left out.

    Without a school only the region's rules apply. `above` leaves out that scope and those below it.
    """
    scopes = WIDEST_FIRST[: WIDEST_FIRST.index(above)] if above else WIDEST_FIRST
    scopes = scopes if school else scopes[:1]
    if not scopes:
        return {}
    rows = db.session.execute(
        select(OptionPolicy.scope, OptionPolicy.option, OptionPolicy.rule).where(
            or_(
                *(
                    and_(
                        OptionPolicy.scope == listed_scope,
                        OptionPolicy.scope_key == policy_scope_key(listed_scope, school),
                    )
                    for listed_scope in scopes
                )
            )
        )
    ).all()
    policies: dict[str, EffectivePolicy] = {}
    for scope, option, rule in sorted(rows, key=lambda row: WIDEST_FIRST.index(row[0])):
        if option not in policies or not policies[option].is_fixed:
            policies[option] = EffectivePolicy(option, rule, scope)
    return policies


def policy_school_of(class_id: UUID | None, user: User) -> School | None:
    """The school whose policies apply: that of the class; without a class that of the meeting's creator."""
    if class_id is None:
        return user.school
    return db.session.scalar(
        select(School)
        .join(Section, Section.school_id == School.id)
        .join(SchoolClass, SchoolClass.section_id == Section.id)
        .where(SchoolClass.id == class_id)
    )


def apply_option_policies(details: MeetingDetails, policies: EffectivePolicies) -> MeetingDetails:
    """The details with every forced or forbidden option corrected, whatever the form submitted."""
    corrections: dict[str, Any] = {}
    for option, policy in policies.items():
        submitted = getattr(details, option)
        if not policy.is_fixed or (option == "auto_recording" and policy.rule == FORCED and submitted != "none"):
            continue
        corrections[option] = policy.value
    if corrections.get("join_before_host") and "waiting_room" not in corrections:
        corrections["waiting_room"] = False  # Zoom does not admit people before the host where there is a waiting room
    return replace(details, **corrections) if corrections else details


def apply_policies_for_class(user: User, class_id: UUID | None, details: MeetingDetails) -> MeetingDetails:
    """`apply_option_policies` with the policies of the class, or of the user's school where there is no class."""
    return apply_option_policies(details, effective_policies(policy_school_of(class_id, user)))


def set_option_policies(user: User, rules: Mapping[str, str]) -> None:
    """Replace the rules of an admin's own scope: a rule by option; options left out have none.

    Raises ValueError for a user without a scope, or for an unknown option or rule.
    """
    if user.scope not in WIDEST_FIRST or set(rules) - set(POLICY_OPTIONS) or set(rules.values()) - set(POLICY_RULES):
        raise ValueError("no such policy")
    scope_key = policy_scope_key(user.scope, user.school)
    with write_transaction() as session:
        before = own_policies(user.scope, user.school)
        changed = sorted(option for option in POLICY_OPTIONS if before.get(option) != rules.get(option))
        if not changed:
            return
        session.execute(
            delete(OptionPolicy).where(
                OptionPolicy.scope == user.scope, OptionPolicy.scope_key == scope_key, OptionPolicy.option.in_(changed)
            )
        )
        now = clock.now()
        session.add_all(
            OptionPolicy(
                scope=user.scope, scope_key=scope_key, option=option, rule=rules[option], set_by=user.id, set_at=now
            )
            for option in changed
            if option in rules
        )
        audit_log.record_action(
            AuditAction.CHANGED_POLICIES,
            user.scope,
            user.school.id if user.school else "region",
            by=user.id,
            rules={option: rules.get(option, "none") for option in changed},
        )

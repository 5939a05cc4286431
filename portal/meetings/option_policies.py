"""What admins say of Zoom's options: forced on, on or off unless changed, not allowed.

A wider scope's "forced on" and "not allowed" win over what a narrower one says; of mere defaults the narrowest counts.
They hold for what is scheduled or changed from then on. Meetings that are there keep what they have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
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

if TYPE_CHECKING:
    from portal.meetings.service import MeetingDetails  # which asks here itself

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
RECORDING_ON = "cloud"  # what "on" means for recording, where the choice is not on or off


class OptionPolicy(UuidPrimaryKey, Model):
    """What one region, division or school says of one option. `place` is empty, the division, or the school's id."""

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
    """What holds for one option at one place, and whose word it is."""

    option: str
    rule: str
    scope: str

    @property
    def is_fixed(self) -> bool:
        """Nobody below chooses."""
        return self.rule in (FORCED, NEVER)

    @property
    def value(self) -> bool | str:
        """The value that is forced, or stands in the form at first."""
        on = self.rule in (FORCED, ON)
        return (RECORDING_ON if on else "none") if self.option == "auto_recording" else on


EffectivePolicies = Mapping[str, EffectivePolicy]


def policy_scope_key(scope: str, school: School | None) -> str:
    """How `place` names the region, or the school or its division."""
    if scope == "region" or school is None:
        return ""
    return school.division if scope == "division" else school.id.hex


def own_policies(scope: str, school: School | None) -> dict[str, str]:
    """What one scope itself says: rule by option."""
    rows = db.session.execute(
        select(OptionPolicy.option, OptionPolicy.rule).where(
            OptionPolicy.scope == scope, OptionPolicy.scope_key == policy_scope_key(scope, school)
        )
    )
    return dict(rows.all())


def effective_policies(school: School | None, *, above: str = "") -> dict[str, EffectivePolicy]:
    """What holds for a school's meetings, by option; options of which nobody says anything are left out.

    Without a school the region alone speaks. `above` leaves out that scope and those below it.
    """
    scopes = WIDEST_FIRST[: WIDEST_FIRST.index(above)] if above else WIDEST_FIRST
    scopes = scopes if school else scopes[:1]
    if not scopes:
        return {}
    rows = db.session.execute(
        select(OptionPolicy.scope, OptionPolicy.option, OptionPolicy.rule).where(
            or_(
                *(
                    and_(OptionPolicy.scope == one, OptionPolicy.scope_key == policy_scope_key(one, school))
                    for one in scopes
                )
            )
        )
    ).all()
    policies: dict[str, EffectivePolicy] = {}
    for scope, option, rule in sorted(rows, key=lambda row: WIDEST_FIRST.index(row[0])):
        if option not in policies or not policies[option].is_fixed:
            policies[option] = EffectivePolicy(option, rule, scope)
    return policies


def school_id_of(class_id: UUID | None, user: User) -> School | None:
    """Whose policies hold: the school of the class, without a class that of who makes the meeting."""
    if class_id is None:
        return user.school
    return db.session.scalar(
        select(School)
        .join(Section, Section.school_id == School.id)
        .join(SchoolClass, SchoolClass.section_id == Section.id)
        .where(SchoolClass.id == class_id)
    )


def apply_option_policies(details: "MeetingDetails", holding: EffectivePolicies) -> "MeetingDetails":
    """The details with everything that is forced or not allowed put right, whatever a form said."""
    fixed: dict[str, Any] = {}
    for option, ruling in holding.items():
        said = getattr(details, option)
        if not ruling.is_fixed or (option == "auto_recording" and ruling.rule == FORCED and said != "none"):
            continue
        fixed[option] = ruling.value
    if fixed.get("join_before_host") and "waiting_room" not in fixed:
        fixed["waiting_room"] = False  # Zoom does not let people in before the host where they have to wait
    return replace(details, **fixed) if fixed else details


def apply_policies_for_class(user: User, class_id: UUID | None, details: "MeetingDetails") -> "MeetingDetails":
    """`apply_option_policies` by what holds for the class, or for the person where there is no class."""
    return apply_option_policies(details, effective_policies(school_id_of(class_id, user)))


def set_option_policies(user: User, rules: Mapping[str, str]) -> None:
    """What an admin's own scope says from now on: a rule by option; options that are left out have none.

    Raises ValueError for somebody without a scope, or for an option or a rule that does not exist.
    """
    if user.scope not in WIDEST_FIRST or set(rules) - set(POLICY_OPTIONS) or set(rules.values()) - set(POLICY_RULES):
        raise ValueError("no such policy")
    place = policy_scope_key(user.scope, user.school)
    with write_transaction() as session:
        before = own_policies(user.scope, user.school)
        changed = sorted(option for option in POLICY_OPTIONS if before.get(option) != rules.get(option))
        if not changed:
            return
        session.execute(
            delete(OptionPolicy).where(
                OptionPolicy.scope == user.scope, OptionPolicy.scope_key == place, OptionPolicy.option.in_(changed)
            )
        )
        now = clock.now()
        session.add_all(
            OptionPolicy(
                scope=user.scope, scope_key=place, option=option, rule=rules[option], set_by=user.id, set_at=now
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

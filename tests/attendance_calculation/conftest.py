"""A class on Tuesday 3 November 2026, 8:00 to 9:00 in Manila, and stays in it written as people say them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from portal.attendance.calculation.marks import (
    ConfirmedAlias,
    DataCompleteness,
    InstanceTimes,
    LearnerResult,
    ManualMatch,
    RosterLearner,
    SheetInput,
    SheetResult,
    StaffMember,
    Stay,
    UnmatchedParticipant,
    compute_sheet,
)

NAMES = (
    "SANTOS,MARIA, CRUZ",
    "DELA CRUZ,JUAN MIGUEL, REYES",
    "PEÑA,MA. TERESA, -",
    "BAUTISTA,CRISTINE JOY, JR LIM",
    "SANTOS,MARK, CRUZ",
    "STA. ANA,JOSE, GARCIA",
    "REYES,ANGEL, TORRES",
    "REYES,BENEDICT, TORRES",
)


@dataclass(frozen=True)
class Morning:
    """Builds evidence; learner L1 holds the registration R1, and so on."""

    roster: tuple[RosterLearner, ...] = tuple(
        RosterLearner(f"L{n}", frozenset({f"R{n}"}), f"10000000000{n}@r1.deped.gov.ph", name)
        for n, name in enumerate(NAMES, start=1)
    )
    staff: tuple[StaffMember, ...] = (
        StaffMember("teacher", frozenset({"RT"}), "teresa.reyes@r1.deped.gov.ph", ("Ma. Teresa Reyes",)),
        StaffMember("co-teacher", frozenset({"RC"}), "jose.cruz@r1.deped.gov.ph", ("Jose Cruz",)),
    )

    def at(self, clock: str) -> datetime:
        """ "8:05" or "8:05:30" in Manila on the day of the class; "-1 23:50" is on the day before."""
        day, _, clock = clock.rpartition(" ")
        hours, minutes, seconds = (int(part) for part in (clock + ":0:0").split(":")[:3])
        midnight = datetime(2026, 11, 2, 16, tzinfo=UTC) + timedelta(days=int(day or 0))
        return midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds)

    def stay(self, joined: str | None, left: str | None, registrant: str | None = "R1", **changes: object) -> Stay:
        who = changes.get("session") or f"{registrant} {joined} {left} {changes.get('room')} {changes.get('name')}"
        plain = Stay(
            id=f"{who} {changes.get('instance')} {changes.get('room')} {joined}",
            instance="uuid-1",
            session=str(who),
            registrant_id=registrant,
            email=None,
            zoom_user_id=None,
            name="",
            joined_at=self.at(joined) if joined else None,
            left_at=self.at(left) if left else None,
            room="meeting",
            source="webhook",
            leave_source="event" if left else None,
            is_host=False,
        )
        return replace(plain, **changes)

    def guest(self, name: str, joined: str = "8:00", left: str | None = "8:40", **changes: object) -> Stay:
        return self.stay(joined, left, None, name=name, **changes)

    def wait(self, joined: str | None, left: str | None, registrant: str | None = "R1", **changes: object) -> Stay:
        return self.stay(joined, left, registrant, room="waiting", **changes)

    def instance(self, started: str | None, ended: str | None, uuid: str = "uuid-1") -> InstanceTimes:
        return InstanceTimes(uuid, self.at(started) if started else None, self.at(ended) if ended else None)

    def sheet(
        self, *stays: Stay, over: bool = True, complete: bool = True, gap: bool = False, **changes: object
    ) -> SheetInput:
        plain = SheetInput(
            planned_start=self.at("8:00"),
            planned_end=self.at("9:00"),
            threshold=900,
            grace_minutes=None,
            instances=(self.instance("8:00", "9:00"),),
            stays=stays,
            roster=self.roster,
            staff=self.staff,
            links=(),
            aliases=(),
            knowledge=DataCompleteness(is_over=over, is_complete=complete, has_delivery_gap=gap),
            now=self.at("9:30"),
        )
        return replace(plain, **changes)

    def line(self, *stays: Stay, learner: str = "L1", **changes: object) -> LearnerResult:
        """The learner's line on the sheet of these stays."""
        return self.line_of(compute_sheet(self.sheet(*stays, **changes)), learner)

    def line_of(self, result: SheetResult, learner: str) -> LearnerResult:
        [line] = [line for line in result.learners if line.learner_id == learner]
        return line

    def verdict(self, *stays: Stay, **changes: object) -> tuple[int, str]:
        line = self.line(*stays, **changes)
        return line.seconds, line.mark

    def strangers(self, stays: Iterable[Stay], **changes: object) -> tuple[UnmatchedParticipant, ...]:
        return compute_sheet(self.sheet(*stays, **changes)).unmatched

    def link(self, stay: Stay, *learner_ids: str, staff: bool = False, nobody: bool = False) -> ManualMatch:
        return ManualMatch(stay.id, learner_ids, staff=staff, nobody=nobody)

    def alias(self, name: str, *learner_ids: str) -> ConfirmedAlias:
        return ConfirmedAlias(name, learner_ids)


@pytest.fixture(scope="session")
def morning() -> Morning:
    return Morning()

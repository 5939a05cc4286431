"""Months of School Form 2 made up without a database, of every kind of form, and the workbooks that were made of them.

`python -m tests.reports.sf2_examples` makes the stored workbooks anew, after a change of the form that is meant.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from portal.accounts.models import School, User
from portal.classes.models import Section
from portal.reports.sf2.calculation import EnrolmentPeriod, RecordDay, Sex, compute_sf2
from portal.reports.sf2.queries import Sf2Month
from portal.reports.sf2.workbook import build_sf2_workbook

STORED = Path(__file__).parents[1] / "fixtures" / "sf2"
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
CUT_OFF = date(2026, 6, 12)
DAYS = [date(2026, 11, number) for number in (3, 4, 5, 6, 9, 10, 11, 14, 16, 17, 18)]  # the 14th is a Saturday
OFF = {date(2026, 11, 2): "All Souls' Day", date(2026, 11, 30): "Bonifacio Day", date(2026, 11, 12): "Typhoon"}


@dataclass(frozen=True)
class Example:
    kind: str = "present"
    paper: str = "a4"
    live: bool = True
    males: int = 3
    females: int = 4
    grade: str = "Grade 8"
    days: tuple[date, ...] = tuple(DAYS)


EXAMPLES = {
    "present": Example(),
    "figures_only": Example(live=False),
    "tardy_long_paper": Example(kind="tardy", paper="long"),
    "senior_high": Example(kind="shs", grade="Grade 11"),
    "large_class": Example(males=31, females=29),
    "girls_only": Example(males=0),
    "no_class_days": Example(days=()),
}


def build_example(example: Example) -> bytes:
    """The workbook of one example."""
    school = School(deped_id="300123", name="Ilocos Norte <National> & High", division="Ilocos Norte", region="I")
    section = Section(
        school_year="2026-2027", grade_level=example.grade, name="=Jadeite & Peñaflor", sf2_paper=example.paper
    )
    section.school, section.adviser = school, User(full_name="Ada Lovelace")
    learners = [*_learners("M", example.males), *_learners("F", example.females)]
    register = {
        (learner.key, day): _record(place, day)
        for place, learner in enumerate(learners)
        for day in example.days
        if (place, day.day) != (1, 9)  # without a record
    }
    form = compute_sf2(
        FIRST, LAST, class_days=example.days, before=[], learners=learners, register=register, cut_off=CUT_OFF
    )
    month = Sf2Month(form, OFF, (), CUT_OFF, 0, "Dr. Fe Ramos", example.kind, 201)
    return build_sf2_workbook(section, month, live=example.live)


def _learners(sex: Sex, count: int) -> list[EnrolmentPeriod]:
    """Of each sex the first came late, the second left, and the third has a name that looks like a formula."""
    found = []
    for number in range(count):
        key, name = f"{sex}{number}", f"{'=1+1' if number == 2 else 'SANTOS'}{number},MARIA, _x0041_ Ñ"
        if number == 0:
            found.append(EnrolmentPeriod(key, name, sex, date(2026, 11, 5), entry_reason="LE"))
        elif number == 1:
            last = date(2026, 11, 10)
            found.append(
                EnrolmentPeriod(key, name, sex, date(2026, 6, 8), last, left_by="T/O", detail="Laoag & Central")
            )
        else:
            found.append(EnrolmentPeriod(key, name, sex, date(2026, 6, 8)))
    return found


def _record(place: int, day: date) -> RecordDay:
    if (place + day.day) % 4 == 0 or place == 3:
        return RecordDay("absent")
    if (place + day.day) % 5 == 0:
        return RecordDay("present", ("late", "cutting", "both")[day.day % 3])  # type: ignore[arg-type]
    return RecordDay("present")


if __name__ == "__main__":
    for name, example in EXAMPLES.items():
        (STORED / f"{name}.xlsx").write_bytes(build_example(example))

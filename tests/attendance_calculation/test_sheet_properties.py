"""What holds for every sheet, whatever Zoom sends, in whatever order and how often."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.attendance.calculation.marks import (
    DataCompleteness,
    InstanceTimes,
    Stay,
    compute_sheet,
)

# Few values of each, so that people, devices and times collide as often as they can.
MINUTES = st.one_of(st.none(), st.integers(-10, 75))
NAMES = st.sampled_from(["", "Maria Santos", "Maria", "OPPO A5s", "Ate", "Angel Reyes", "Ma. Teresa Reyes"])


@st.composite
def stays_of(draw, morning, *, known=True):
    number = draw(st.integers(0, 10**6))
    joined, left = draw(MINUTES), draw(MINUTES)
    start = morning.at("8:00")
    return Stay(
        id=f"stay-{number}",
        instance=draw(st.sampled_from(["uuid-1", "uuid-2"])),
        session=draw(st.sampled_from(["s1", "s2", "s3", f"s-{number}"])),
        registrant_id=draw(st.sampled_from([None, "R1", "R2", "R99", "RT"])) if known else None,
        email=draw(st.sampled_from([None, "", "100000000003@r1.deped.gov.ph", "mama@example.com"])) if known else None,
        zoom_user_id=draw(st.sampled_from([None, "z1", "z2"])),
        name=draw(NAMES),
        joined_at=None if joined is None else start + timedelta(minutes=joined),
        left_at=None if left is None else start + timedelta(minutes=left),
        room=draw(st.sampled_from(["meeting", "meeting", "waiting"])),
        source="webhook",
        leave_source=draw(st.sampled_from(["event", "ended"])),
        is_host=draw(st.integers(0, 15)) == 0,
    )


@st.composite
def sheets(draw, morning, *, known=True, remembered=True):
    stays = draw(st.lists(stays_of(morning, known=known), max_size=8, unique_by=lambda stay: stay.id))
    links = tuple(
        morning.link(stay, *draw(st.sampled_from([("L1",), ("L7", "L8")])))
        for stay in stays
        if remembered and draw(st.integers(0, 5)) == 0
    )
    ends = draw(st.sampled_from([(30, 60), (None, 60), (30, None), (None, None)]))
    start = morning.at("8:00")
    instances = tuple(
        InstanceTimes(uuid, start + timedelta(minutes=begin), None if end is None else start + timedelta(minutes=end))
        for uuid, begin, end in zip(("uuid-1", "uuid-2"), (0, 31), ends, strict=True)
    )
    over, complete = draw(st.sampled_from([(False, False), (True, False), (True, True)]))
    return replace(
        morning.sheet(*stays),
        instances=draw(st.sampled_from([instances, instances[:1], ()])),
        links=links,
        aliases=(morning.alias("ATE", "L2"), morning.alias("MARIA", "L1")) if remembered else (),
        knowledge=DataCompleteness(over, complete, draw(st.booleans())),
        grace_minutes=draw(st.sampled_from([None, 10])),
        now=start + timedelta(minutes=draw(st.integers(0, 90))),
    )


@settings(deadline=None)
@given(data=st.data())
def test_order_and_repeats_of_the_evidence_change_nothing(morning, data):
    sheet = data.draw(sheets(morning))

    def shuffled(items):
        return tuple(data.draw(st.permutations(items + items[:2])))

    other = replace(
        sheet,
        stays=shuffled(sheet.stays),
        links=shuffled(sheet.links),
        aliases=shuffled(sheet.aliases),
        staff=shuffled(sheet.staff),
        instances=shuffled(sheet.instances),
    )
    assert repr(compute_sheet(other)) == repr(compute_sheet(sheet))


@settings(deadline=None)
@given(data=st.data())
def test_more_presence_never_lowers_the_seconds(morning, data):
    sheet = data.draw(sheets(morning))
    extra = replace(data.draw(stays_of(morning)), id="extra", session="of its own", room="meeting", name="Nobody")
    before = compute_sheet(replace(sheet, links=()))
    after = compute_sheet(replace(sheet, links=(), stays=(*sheet.stays, extra)))
    assert all(new.seconds >= old.seconds for old, new in zip(before.learners, after.learners, strict=True))


@settings(deadline=None)
@given(data=st.data())
def test_nobody_is_absent_without_complete_data_nor_marked_before_the_end(morning, data):
    sheet = data.draw(sheets(morning))
    marks = {line.mark for line in compute_sheet(sheet).learners}
    if not sheet.knowledge.is_complete:
        assert "absent" not in marks
    if not sheet.knowledge.is_over:
        assert marks == {"pending"}


@settings(deadline=None)
@given(data=st.data())
def test_a_name_alone_never_credits(morning, data):
    result = compute_sheet(data.draw(sheets(morning, known=False, remembered=False)))
    assert {(line.seconds, line.stay_count, line.matched_by) for line in result.learners} == {(0, 0, ())}


@settings(deadline=None)
@given(data=st.data())
def test_every_stay_is_accounted_for_once(morning, data):
    sheet = data.draw(sheets(morning))
    result = compute_sheet(sheet)
    listed = [stay_id for person in result.unmatched for stay_id in person.stay_ids]
    assert sorted(listed) == sorted(stay_id for stay_id, match in result.who.items() if match.kind == "unknown")
    assert set(result.who) == {stay.id for stay in sheet.stays}
    assert len({person.key for person in result.unmatched}) == len(result.unmatched)


@settings(deadline=None)
@given(data=st.data())
def test_marks_agree_with_the_seconds(morning, data):
    sheet = data.draw(sheets(morning))
    for line in compute_sheet(sheet).learners:
        if sheet.knowledge.is_over:
            assert (line.mark == "present") == (line.seconds >= 900)
        if line.mark == "partial":
            assert line.stay_count > 0
        if line.mark == "absent":
            assert line.stay_count == 0

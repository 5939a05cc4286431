"""Who a participant was: the order of the evidence, and what happens where it does not suffice."""

from dataclasses import replace

import pytest

from portal.attendance.calculation.marks import compute_sheet
from portal.attendance.calculation.matching import fold_email, is_device_name


def test_a_registration_needs_neither_address_nor_name(morning):
    line = morning.line(morning.stay("8:00", "8:30", "R7"), learner="L7")
    assert (line.seconds, line.mark, line.matched_by) == (1800, "present", ("registration",))


def test_a_registration_beats_the_address_of_another_learner_and_is_noted(morning):
    stay = morning.stay("8:00", "8:30", "R7", email="100000000008@r1.deped.gov.ph")
    result = compute_sheet(morning.sheet(stay))
    assert morning.line_of(result, "L7").flags == ("email_of_another",)
    assert (morning.line_of(result, "L7").mark, morning.line_of(result, "L8").mark) == ("present", "absent")


def test_the_address_of_a_stranger_is_no_news(morning):
    assert morning.line(morning.stay("8:00", "8:30", email="mama@example.com")).flags == ()


def test_an_address_matches_in_any_case(morning):
    stay = morning.stay("8:00", "8:30", None, email=" 100000000003@R1.DepEd.gov.ph ")
    assert morning.line(stay, learner="L3").matched_by == ("email",)


def test_an_address_of_two_learners_matches_neither(morning):
    twins = tuple(replace(line, email="family@r1.deped.gov.ph") for line in morning.roster[6:])
    stay = morning.stay("8:00", "8:30", None, email="family@r1.deped.gov.ph")
    result = compute_sheet(morning.sheet(stay, roster=morning.roster[:6] + twins))
    assert [line.mark for line in result.learners[6:]] == ["absent", "absent"]
    assert [person.email for person in result.unmatched] == ["family@r1.deped.gov.ph"]


def test_an_address_that_only_looks_alike_is_another(morning):
    roster = (replace(morning.roster[0], email="kim@r1.deped.gov.ph"),)
    stay = morning.stay("8:00", "8:30", None, email="\u212aim@r1.deped.gov.ph")
    assert morning.line(stay, roster=roster).mark == "absent"
    assert fold_email("\u212aim@r1.deped.gov.ph") is None


def test_a_registration_held_by_two_learners_matches_neither(morning):
    roster = tuple(replace(line, registrant_ids=frozenset({"R1"})) for line in morning.roster)
    assert {
        line.mark for line in compute_sheet(morning.sheet(morning.stay("8:00", "8:30"), roster=roster)).learners
    } == {"absent"}


def test_one_event_of_a_session_tells_who_the_others_are(morning):
    stays = [
        morning.wait("7:58", "8:00", None, session="s1"),
        morning.stay("8:00", "8:30", "R1", session="s1"),
    ]
    assert compute_sheet(morning.sheet(*stays)).unmatched == ()


class TestNamesAlone:
    def test_an_exact_name_is_suggested_and_not_credited(self, morning):
        result = compute_sheet(morning.sheet(morning.guest("Maria Santos")))
        assert morning.line_of(result, "L1").seconds == 0
        [person] = result.unmatched
        assert (person.names, person.seconds) == (("Maria Santos",), 2400)
        assert person.suggestions[0].learner_id == "L1"

    def test_the_learner_it_may_be_is_pointed_out(self, morning):
        line = morning.line(morning.guest("Maria Santos"))
        assert (line.mark, line.flags, line.maybe) == ("absent", ("may_be_unmatched",), ("Maria Santos",))

    def test_one_click_credits_it_and_it_unites_with_the_rest(self, morning):
        visit, stay = morning.guest("Maria Santos", "8:01", "8:20"), morning.stay("8:21", "8:50")
        assert morning.verdict(visit, stay) == (1740, "present")
        line = morning.line(visit, stay, links=(morning.link(visit, "L1"),))
        assert (line.seconds, line.mark, line.matched_by) == (2880, "present", ("teacher", "registration"))


class TestDecisions:
    def test_a_persons_decision_beats_the_registration(self, morning):
        stay = morning.stay("8:00", "8:30", "R7")
        result = compute_sheet(morning.sheet(stay, links=(morning.link(stay, "L8"),)))
        assert (morning.line_of(result, "L7").mark, morning.line_of(result, "L8").mark) == (
            "absent",
            "present",
        )

    def test_siblings_on_one_phone_are_both_credited(self, morning):
        stay = morning.guest("OPPO A5s")
        result = compute_sheet(morning.sheet(stay, links=(morning.link(stay, "L7", "L8"),)))
        assert [line.seconds for line in result.learners[6:]] == [2400, 2400]
        assert result.unmatched == ()

    def test_two_links_of_one_stay_name_both_learners(self, morning):
        stay = morning.guest("OPPO A5s")
        links = (morning.link(stay, "L8"), morning.link(stay, "L7"))
        assert compute_sheet(morning.sheet(stay, links=links)).who[stay.id].learner_ids == ("L7", "L8")

    def test_not_a_learner_leaves_the_list(self, morning):
        stay = morning.guest("Lola")
        result = compute_sheet(morning.sheet(stay, links=(morning.link(stay, nobody=True),)))
        assert (result.unmatched, result.who[stay.id].kind) == ((), "nobody")

    def test_staff_by_decision_is_listed_as_staff(self, morning):
        stay = morning.guest("Sir Jose")
        result = compute_sheet(morning.sheet(stay, links=(morning.link(stay, staff=True),)))
        assert [(member.user_id, member.names) for member in result.staff] == [(None, ("Sir Jose",))]

    def test_a_learner_no_longer_enrolled_is_not_credited_and_stays_on_the_list(self, morning):
        stay = morning.guest("Maria")
        result = compute_sheet(morning.sheet(stay, roster=morning.roster[1:], links=(morning.link(stay, "L1"),)))
        assert [person.names for person in result.unmatched] == [("Maria",)]

    def test_a_decision_follows_the_same_account_under_the_same_name(self, morning):
        first = morning.guest("iPhone", "8:00", "8:10", zoom_user_id="z1")
        again = morning.guest("iPhone", "8:11", "8:30", zoom_user_id="z1")
        assert morning.line(first, again, links=(morning.link(first, "L1"),)).seconds == 600 + 1140

    def test_a_decision_does_not_follow_the_account_to_another_name(self, morning):
        ana = morning.guest("Ana", zoom_user_id="z1")
        ben = morning.guest("Ben", zoom_user_id="z1")
        assert len(morning.strangers([ana, ben], links=(morning.link(ana, "L1"),))) == 1

    def test_a_decision_about_one_stay_does_not_take_the_registrations_other_stays(self, morning):
        first, again = morning.stay("8:00", "8:10", "R7"), morning.stay("8:20", "8:50", "R7")
        result = compute_sheet(morning.sheet(first, again, links=(morning.link(first, "L8"),)))
        assert [line.seconds for line in result.learners[6:]] == [1800, 600]


class TestRememberedNames:
    def test_a_name_tied_before_is_credited(self, morning):
        line = morning.line(morning.guest("iPhone ni Ate 😀"), aliases=(morning.alias("IPHONE NI ATE", "L1"),))
        assert (line.seconds, line.mark, line.matched_by) == (2400, "present", ("alias",))

    def test_it_may_stand_for_siblings(self, morning):
        result = compute_sheet(
            morning.sheet(morning.guest("Reyes kids"), aliases=(morning.alias("REYES KIDS", "L7", "L8"),))
        )
        assert [line.matched_by for line in result.learners[6:]] == [("alias",), ("alias",)]

    @pytest.mark.parametrize("name", ["OPPO A5s", "iPhone", "Galaxy A03", "Redmi 9", "Zoom user", "😀", "", "12"])
    def test_the_name_of_a_device_is_never_credited(self, morning, name):
        line = morning.line(morning.guest(name), aliases=(morning.alias(name.upper(), "L1"),))
        assert line.seconds == 0

    def test_a_name_that_two_use_at_once_is_credited_to_nobody(self, morning):
        stays = [morning.guest("Ate", "8:00", "8:30"), morning.guest("Ate", "8:10", "8:40")]
        result = compute_sheet(morning.sheet(*stays, aliases=(morning.alias("ATE", "L1"),)))
        assert morning.line_of(result, "L1").seconds == 0
        assert len(result.unmatched) == 2

    def test_two_accounts_of_one_name_are_two_people_even_one_after_the_other(self, morning):
        stays = [
            morning.guest("Ate", "8:00", "8:20", zoom_user_id="z1"),
            morning.guest("Ate", "8:30", "8:50", zoom_user_id="z2"),
        ]
        assert morning.line(*stays, aliases=(morning.alias("ATE", "L1"),)).seconds == 0

    def test_coming_back_is_still_one_person_though_the_leave_is_stamped_late(self, morning):
        stays = [morning.guest("Ate", "8:00", "8:21:30"), morning.guest("Ate", "8:20", "8:40")]
        assert morning.line(*stays, aliases=(morning.alias("ATE", "L1"),)).seconds == 2400

    def test_a_registered_namesake_spoils_the_remembered_name(self, morning):
        stays = [morning.guest("Angel", "8:00", "8:10"), morning.stay("8:20", "8:40", "R7", name="Angel")]
        assert morning.line(*stays, aliases=(morning.alias("ANGEL", "L1"),)).seconds == 0

    def test_the_learners_own_registration_does_not(self, morning):
        stays = [morning.guest("Maria", "8:00", "8:10"), morning.stay("8:20", "8:40", "R1", name="Maria")]
        line = morning.line(*stays, aliases=(morning.alias("MARIA", "L1"),))
        assert (line.seconds, line.matched_by) == (1800, ("registration", "alias"))

    def test_a_name_tied_to_two_learners_apart_is_tied_to_none(self, morning):
        aliases = (morning.alias("ATE", "L1"), morning.alias("ATE", "L2"))
        assert {
            line.seconds for line in compute_sheet(morning.sheet(morning.guest("Ate"), aliases=aliases)).learners
        } == {0}

    def test_each_instance_is_judged_by_itself(self, morning):
        stays = [
            morning.guest("Ate", "8:00", "8:10"),
            morning.guest("Ate", "8:20", "8:40", instance="uuid-2", zoom_user_id="z1"),
        ]
        runs = (morning.instance("8:00", "8:15"), morning.instance("8:16", "9:00", "uuid-2"))
        assert morning.line(*stays, instances=runs, aliases=(morning.alias("ATE", "L1"),)).seconds == 1800


class TestStaff:
    def test_host_and_co_teacher_are_staff_and_in_no_learners_row(self, morning):
        stays = [
            morning.stay("8:00", "9:00", None, name="Teresa", is_host=True),
            morning.stay("8:00", "9:00", None, name="Teresa phone", email="teresa.reyes@r1.deped.gov.ph"),
            morning.stay("8:00", "9:00", "RC"),
        ]
        result = compute_sheet(morning.sheet(*stays))
        assert sorted((member.user_id or "", member.seconds) for member in result.staff) == [
            ("", 3600),
            ("co-teacher", 3600),
            ("teacher", 3600),
        ]
        assert {line.mark for line in result.learners} == {"absent"}
        assert result.unmatched == ()

    def test_the_hosts_two_devices_count_once(self, morning):
        stays = [
            morning.stay("8:00", "8:40", "RT", is_host=True),
            morning.stay("8:20", "9:00", None, name="Phone", email="teresa.reyes@r1.deped.gov.ph"),
        ]
        [member] = compute_sheet(morning.sheet(*stays)).staff
        assert (member.user_id, member.seconds, member.stay_count) == ("teacher", 3600, 2)
        assert member.matched_by == ("host", "email")

    def test_a_host_on_a_learners_link_is_still_staff(self, morning):
        assert morning.line(morning.stay("8:00", "9:00", is_host=True)).mark == "absent"

    def test_a_guest_of_a_teachers_name_is_pointed_out(self, morning):
        [person] = morning.strangers([morning.guest("Ma Teresa REYES")])
        assert person.may_be_staff == ("teacher",)


class TestUnmatched:
    def test_one_person_coming_and_going_is_one_entry_over_instances(self, morning):
        stays = [morning.guest("Lola Ising", "8:00", "8:10"), morning.guest("lola ising", "8:20", "8:30")]
        stays.append(morning.guest("Lola Ising", "8:40", "8:50", instance="uuid-2"))
        [person] = morning.strangers(stays)
        assert (person.seconds, person.stay_count) == (1800, 3)
        assert person.names == ("Lola Ising", "lola ising")
        assert set(person.stay_ids) == {stay.id for stay in stays}
        assert (person.first_join, person.last_leave) == (morning.at("8:00"), morning.at("8:50"))

    def test_devices_of_one_make_are_not_one_person(self, morning):
        stays = [morning.guest("OPPO A5s", "8:00", "8:10"), morning.guest("OPPO A5s", "8:20", "8:30")]
        people = morning.strangers(stays)
        assert [person.seconds for person in people] == [600, 600]
        assert not any(person.rememberable for person in people)

    def test_an_account_is_one_person_under_two_names_one_after_the_other(self, morning):
        stays = [
            morning.guest("OPPO A5s", "8:00", "8:10", zoom_user_id="z1"),
            morning.guest("Nena", "8:20", "8:30", zoom_user_id="z1"),
        ]
        assert [person.names for person in morning.strangers(stays)] == [("OPPO A5s", "Nena")]

    def test_an_account_on_two_devices_under_two_names_is_two_people(self, morning):
        stays = [morning.guest("Ana", zoom_user_id="z1"), morning.guest("Ben", zoom_user_id="z1")]
        assert sorted(person.names for person in morning.strangers(stays)) == [("Ana",), ("Ben",)]

    def test_an_unknown_registration_is_on_the_list(self, morning):
        [person] = morning.strangers([morning.stay("8:00", "8:30", "R99", name="Bisita")])
        assert person.names == ("Bisita",)

    def test_one_who_only_waited_is_on_the_list_and_says_so(self, morning):
        [person] = morning.strangers([morning.wait("8:00", "8:20", None, name="Bisita")])
        assert (person.seconds, person.stay_count, person.flags) == (0, 0, ("waiting_room_only",))


@pytest.mark.parametrize(
    "name",
    [
        "OPPO A5s",
        "iPhone",
        "iPhone (2)",
        "Galaxy A03",
        "Redmi 9",
        "Redmi Note 10 Pro",
        "SM-A125F",
        "vivo 1904",
    ]
    + ["Cherry Mobile", "HONOR X8", "Zoom User", "DESKTOP-4F2K1", "+63917*****12", "12", "", "😀"],
)
def test_device_names(name):
    assert is_device_name(name)


@pytest.mark.parametrize("name", ["iPhone ni Ate", "Maria's iPhone", "Cherry", "Max", "Honor Reyes", "Juan 12", "Mi"])
def test_names_that_a_person_chose(name):
    assert not is_device_name(name)

"""The pages of the pretend Zoom, as a newcomer uses them."""

import re

import pytest
from bs4 import BeautifulSoup

from portal.sandbox import create_sandbox

ADA = "ada@r1.deped.gov.ph"
MOUNT = "/zoom-sandbox"
PUBLIC = f"http://portal.test{MOUNT}"


class Visitor:
    """A browser without scripts; looks every page over before handing it on."""

    def __init__(self, app):
        self.client = app.test_client()

    def get(self, path, status=200):
        return self._page(self.client.get(path, base_url=PUBLIC, follow_redirects=True), status)

    def post(self, path, status=200, headers=None, **form):
        answer = self.client.post(path, base_url=PUBLIC, data=form, headers=headers, follow_redirects=True)
        return self._page(answer, status)

    def press(self, page, label):
        """Press the button whose words begin with the label."""
        [button] = [one for one in page.select("form button") if one.text.startswith(label)][:1]
        form = button.find_parent("form")
        fields = {one["name"]: one.get("value", "") for one in form.select("input[name]")}
        return self.post(form.get("action", page.where).removeprefix(MOUNT), **fields)

    def _page(self, answer, status):
        assert answer.status_code == status, answer.text
        page = BeautifulSoup(answer.text, "html.parser")
        page.where = answer.request.full_path.removeprefix(MOUNT)
        [title] = page.select("h1")
        assert page.title.text.startswith(title.text)
        ids = [tag["id"] for tag in page.select("[id]")]
        assert len(ids) == len(set(ids))
        assert "A pretend Zoom" in page.select_one(".practice").text
        assert page.select_one(".practice a")["href"] == "http://portal.test/"
        assert not page.select("script, [style], [onclick]")
        assert all(link["href"].startswith((MOUNT, "http://portal.test", "#")) for link in page.select("[href]"))
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        return page


@pytest.fixture
def visitor(world):
    return Visitor(create_sandbox(world, public_url=PUBLIC))


@pytest.fixture
def science(world, visitor):
    asked = {"topic": "Science 8", "start_time": "2026-11-03T08:00:00", "settings": {"approval_type": 1}}
    made = world.create_meeting(ADA, asked)
    for name in ("Sam", "Niño", "Trisha", "Jerome", "<b>Bold"):
        world.register(made.id, {"email": f"{name.lower()}@b.ph", "first_name": name, "auto_approve": True})
    return made


def path_of(url):
    return url.removeprefix(PUBLIC)


def test_the_list_shows_todays_classes_first(visitor, world, science):
    world.create_meeting(ADA, {"topic": "Math", "start_time": "2026-11-05T08:00:00"})
    page = visitor.get("/")
    assert [re.sub(r"\d", "", one.text).strip() for one in page.select("h2")] == ["Today", "Later"]
    row = page.select_one("li").get_text(" ", strip=True)
    assert "8:00" in row
    assert "Tue 3 Nov" in row
    assert "5 registered" in row


def test_without_meetings_the_list_says_what_to_do(visitor):
    assert "Schedule a class in the portal" in visitor.get("/").text


def test_a_class_from_start_to_end_by_buttons(visitor, world, science):
    page = visitor.press(visitor.get(f"/meetings/{science.id}"), "Start the class now")
    assert "Live now" in page.text
    page = visitor.press(page, "Everybody walks in")
    assert "4 in, 0 dropped, 1 not yet" in page.text
    page = visitor.press(page, "10 minutes later")
    page = visitor.press(page, "Somebody drops")
    assert "1 in, 3 dropped" in page.text
    page = visitor.press(page, "They come back")
    page = visitor.press(page, "A stranger joins")
    assert "OPPO A5s" in page.text
    page = visitor.press(page, "Add device")
    assert "on 2 devices" in page.text
    page = visitor.press(page, "Leave")
    assert "3 in" in page.text
    page = visitor.press(page, "Join")
    page = visitor.press(page, "Let everybody leave")
    assert "0 in" in page.text
    page = visitor.press(page, "End class")
    assert "The last class ended" in page.text
    assert world.running(science.id) is None


def test_a_class_as_planned_and_a_whole_class(visitor, world, science):
    visitor.press(visitor.get(f"/meetings/{science.id}"), "Start it as planned")
    assert world.running(science.id).start_time == science.start_time
    visitor.post(f"/meetings/{science.id}/end")
    page = visitor.press(visitor.get(f"/meetings/{science.id}"), "Run a whole class")
    assert "The last class ended Tue 3 Nov, 9:00 AM" in page.get_text(" ")


def test_names_are_escaped(visitor, science):
    page = visitor.get(f"/meetings/{science.id}")
    assert "<b>Bold" in page.text
    assert not [one for one in page.select("b") if one.text == "Bold"]


def test_the_start_link_starts_the_class_with_the_host_in_it(visitor, world, science):
    start_url = world.meeting_json(science)["start_url"]
    page = visitor.get(path_of(start_url))
    assert "Live now" in page.text
    assert [one.zoom_user_id for one in world.stays_of(science.id)] == [science.host_id]
    visitor.get(path_of(start_url))
    assert len(world.instances_of(science.id)) == 1


def test_an_old_or_foreign_start_link_starts_nothing(visitor, world, science, clock):
    start_url = path_of(world.meeting_json(science)["start_url"])
    bob = world.find_user("bob@r1.deped.gov.ph")
    visitor.get(f"/s/{science.id}?zak={world.zak(bob)}", status=403)
    clock.move(hours=2)
    visitor.get(start_url, status=403)
    assert world.running(science.id) is None


def test_a_personal_link_lets_its_owner_in_and_out(visitor, world, science):
    sam = world.active_registrants(science.id)[0]
    link = path_of(world.link_of(sam))
    page = visitor.get(link)
    assert "This link is for Sam only" in page.text
    page = visitor.press(page, "Enter the class")
    assert "waiting for the teacher" in page.text
    world.start(science.id)
    page = visitor.get(link)
    assert "You are in the pretend Zoom as Sam" in page.text
    page = visitor.press(page, "Leave the class")
    assert "Enter the class" in page.text
    assert [one.open for one in world.stays_of(science.id)] == [False, False]


def test_a_dead_personal_link_says_so(visitor, world, science):
    sam = world.active_registrants(science.id)[0]
    link = path_of(world.link_of(sam))
    world.delete_registrant(science.id, sam.id)
    visitor.get(link, status=404)
    visitor.get(f"/w/{science.id}?tk=", status=404)


def test_the_common_link_is_for_classes_without_registration(visitor, world, science):
    visitor.get(f"/j/{science.id}", status=403)
    made = world.create_meeting(ADA, {"type": 1})
    world.start(made.id)
    page = visitor.post(f"/j/{made.id}", name="Ma. Cristina")
    assert "You are in the pretend Zoom as Ma. Cristina" in page.text
    assert "Type the name" in visitor.post(f"/j/{made.id}", name=" ").text


def test_a_leaked_registration_form_ends_in_waiting(visitor, world, science):
    where = path_of(world.meeting_json(science)["registration_url"])
    page = visitor.post(where, first_name="Leak", last_name="Ed", email="leak@example.com")
    assert "waits for approval" in page.text
    assert world.list_registrants(science.id, "pending")[0].email == "leak@example.com"
    assert "Not registered" in visitor.post(where, first_name="", last_name="", email="x@y.z").text


def test_buttons_pressed_on_other_sites_do_nothing(visitor, world, science):
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        visitor.post(f"/meetings/{science.id}/start", status=403, headers=headers)
    assert world.running(science.id) is None
    own = {"Sec-Fetch-Site": "same-origin", "Origin": "http://portal.test"}
    visitor.post(f"/meetings/{science.id}/start", headers=own)
    assert world.running(science.id)


def test_what_is_not_there_has_a_page_of_its_own(visitor, science):
    visitor.get("/meetings/1", status=404)
    visitor.get("/nowhere", status=404)
    visitor.post(f"/meetings/{science.id}/dance", status=404)
    visitor.post(f"/meetings/{science.id}/people/join", status=404, who="nobody")
    visitor.post(f"/meetings/{science.id}/end", status=400)


def test_only_the_shown_files_are_served(visitor):
    with visitor.client.get("/_sandbox/silid.css") as sheet:
        assert sheet.status_code == 200
    assert visitor.client.get("/_sandbox/app.py").status_code == 404

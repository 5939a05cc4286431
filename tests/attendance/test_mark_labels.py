"""Every mark has one label, on every page and in both languages."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask, render_template_string
from flask_babel import force_locale

from portal.attendance.codes import Mark
from portal.attendance.messages import mark_label
from portal.attendance.sheet.forms import MARK_CHOICES
from tests.attendance.lesson import Lesson, Says, at

LABELS = {
    "en": ["Not known yet", "Present", "Partial", "Absent", "Needs review"],
    "fil": ["Hindi pa alam", "Dumalo", "Bahagyang dumalo", "Lumiban", "Kailangang suriin"],
}


@pytest.mark.parametrize("language", ["en", "fil"])
def test_components_and_forms_say_the_same_label(app: Flask, language: str) -> None:
    source = '{% from "components/states.html" import verdict %}{{ verdict(mark) }}'
    with app.test_request_context(), force_locale(language):
        labels = {mark: mark_label(mark) for mark in Mark}
        assert list(labels.values()) == LABELS[language]
        for mark, label in labels.items():
            assert f"</svg> {label}</span>" in render_template_string(source, mark=mark.value)
        assert [str(choice.label) for choice in MARK_CHOICES] == [labels[Mark(one.value)] for one in MARK_CHOICES]


def test_a_template_says_a_constant_mark_in_the_language_of_each_reader(app: Flask) -> None:
    template = app.jinja_env.from_string('{{ "present" | mark_label }}')
    with app.test_request_context():
        said = []
        for language in ("fil", "en"):
            with force_locale(language):
                said.append(template.render())
    assert said == ["Dumalo", "Present"]


def test_sheet_history_and_participants_say_the_same_label_and_the_file_keeps_its_words(
    make_lesson: Callable[..., Lesson], sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(1), Says()
    lesson.deliver(
        zoom.started(), *zoom.stay(next(sessions), at("8:00"), at("8:50"), registrant_id="R1"), zoom.ended(at("9:00"))
    )
    lesson.browser.get(f"/attendance/{lesson.occurrence.id}?change={lesson.learners[0].id}")
    lesson.browser.submit("#change", mark="absent", reason="Brownout")
    lesson.sheet()
    row = lesson.browser.page.select_one(f"#l-{lesson.learners[0].id}")
    assert row and "Absent" in row.text and "Set to Absent by Ada Lovelace" in row.text
    lesson.browser.get(f"/attendance/{lesson.occurrence.id}/history")
    assert "set to Absent by Ada Lovelace" in lesson.browser.text
    assert [one["mark"] for one in lesson.rows()] == ["absent"]

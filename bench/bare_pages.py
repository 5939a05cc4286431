"""Baseline for pages: a minimal Flask and Jinja app that reads the same tables and shows the same rows.

Without sessions, permissions and audit; one persistent connection per thread, through the database's own driver.
"""

import sqlite3
import threading
from typing import Any

import psycopg
import sqlalchemy as sa
from flask import Flask

ROSTER = """
SELECT l.id, l.lrn, l.last_name, l.first_name, l.middle_name, l.sex FROM enrolments e
JOIN learners l ON l.id = e.learner_id
WHERE e.section_id = (SELECT c.section_id FROM classes c LIMIT 1) AND e.until_date IS NULL
ORDER BY l.sex DESC, e.position
"""
SHEET = """
SELECT l.id, l.lrn, l.last_name, l.first_name, l.middle_name, l.sex, r.computed_mark, r.override_mark, r.seconds,
       r.first_join_at, r.last_leave_at, r.stay_count, r.override_reason
FROM enrolments e JOIN learners l ON l.id = e.learner_id
LEFT JOIN attendance_records r ON r.learner_id = l.id
    AND r.occurrence_id = (SELECT o.id FROM meeting_occurrences o LIMIT 1)
WHERE e.section_id = (SELECT c.section_id FROM classes c LIMIT 1) AND e.until_date IS NULL
ORDER BY l.sex DESC, e.position
"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Bare</title></head><body><h1>Bare</h1>
{% for sex, word in (("M", "Male"), ("F", "Female")) %}
<table class="sheet"><caption><b>{{ word }}</b></caption>
<thead><tr><th>No.</th><th>Name</th><th>{{ "Mark" if marks else "LRN" }}</th></tr></thead><tbody>
{% for row in rows if row[5] == sex %}
<tr><td class="no"><span>{{ loop.index }}</span></td>
<th scope="row"><a href="/learners/{{ row[0] }}"><b>{{ row[2] }}</b>, {{ row[3] }} {{ row[4] or "" }}</a>
{% if marks %}<p>{{ row[9] or "" }} {{ row[10] or "" }}, {{ row[11] or 0 }} stays {{ row[12] or "" }}</p>{% endif %}
</th>
<td>{% if marks %}<b>{{ row[7] or row[6] or "pending" }}</b> <span>{{ (row[8] or 0) // 60 }} min</span>
{% else %}{{ row[1] or "no LRN yet" }}{% endif %}</td></tr>
{% endfor %}</tbody></table>
{% endfor %}</body></html>"""


def create_bare_pages(url: str) -> Flask:
    """`/roster` and `/sheet` of the one class in the database."""
    app = Flask("bare pages")
    thread_local = threading.local()
    database_url = sa.make_url(url)
    template = app.jinja_env.from_string(PAGE)

    def rows(query: str) -> list[Any]:
        if not hasattr(thread_local, "connection"):
            if database_url.get_backend_name() == "sqlite":
                thread_local.connection = sqlite3.connect(str(database_url.database))
            else:
                thread_local.connection = psycopg.connect(
                    host=database_url.host,
                    port=database_url.port,
                    user=database_url.username,
                    password=database_url.password,
                    dbname=database_url.database,
                )
        result_rows = thread_local.connection.execute(query).fetchall()
        thread_local.connection.rollback()
        return list(result_rows)

    @app.get("/roster")
    def roster() -> str:
        return template.render(rows=rows(ROSTER), marks=False)

    @app.get("/sheet")
    def sheet() -> str:
        return template.render(rows=rows(SHEET), marks=True)

    return app

"""What the tests of accounts share: letters as the mailbox sees them, a second browser."""

import json
import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.auth_requests import process_pending_requests
from portal.core.crypto import decrypt_for_row
from portal.core.db import db
from portal.core.mail import outbox
from tests.browser import Browser
from tests.people import expire_orm_state

Letters = Callable[[], list[dict[str, str]]]


@pytest.fixture
def letters(app: Flask) -> Letters:
    """The letters that wait once the door was answered, oldest first: to, subject, text, html, and the link's path."""

    def read() -> list[dict[str, str]]:
        process_pending_requests()
        expire_orm_state()
        rows = db.session.scalars(
            select(outbox.OutboxMail).where(outbox.OutboxMail.state == "queued").order_by(outbox.OutboxMail.created_at)
        )
        found = []
        for row in rows:
            letter = json.loads(decrypt_for_row(row.content_encrypted or "", f"mail_outbox/{row.id}"))
            [address] = set(re.findall(r"https?://\S+", letter["text"]))
            assert address.startswith("https://silid.test/"), "links are built from PORTAL_BASE_URL alone"
            letter["link"] = address.removeprefix("https://silid.test")
            found.append(letter)
        return found

    return read


@pytest.fixture
def other(app: Flask) -> Browser:
    """Another browser."""
    return Browser(app.test_client())

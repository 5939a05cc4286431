"""Letters are rows first; the worker hands them to the mail server, and the row then forgets what they said."""

import email
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import policy
from pathlib import Path

import pytest
import time_machine
from flask import Flask

from portal.config import validate_settings
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.core.mail import outbox
from tests.conftest import settings_for
from tests.people import expire_orm_state


class _Talk(socketserver.StreamRequestHandler):
    """As much SMTP as a letter needs."""

    def handle(self) -> None:
        office: MailOffice = self.server  # type: ignore[assignment]
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"RCPT" and office.refuse:
                self.wfile.write(f"{office.refuse} no\r\n".encode())
            elif word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (said := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(said)
                office.letters.append(b"".join(lines))
                if office.drop:
                    office.drop -= 1
                    return
                self.wfile.write(b"250 taken\r\n")
            else:
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")


class MailOffice(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.letters: list[bytes] = []
        self.refuse = 0
        self.drop = 0  # so many letters are taken without an answer, and the line is cut


@pytest.fixture
def office() -> Iterator[MailOffice]:
    with MailOffice() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def mailing(app: Flask, office: MailOffice, tmp_path: Path) -> Iterator[Flask]:
    old = app.extensions["silid.settings"]
    url = f"smtp://127.0.0.1:{office.server_address[1]}"
    app.extensions["silid.settings"] = replace(old, mail_url=url, instance=tmp_path, mail_from="silid@silid.test")
    yield app
    app.extensions["silid.settings"] = old


def letter(name: str = "Ada", language: str = "en") -> outbox.OutboxMail:
    link = "https://silid.test/x"
    letter_id = outbox.enqueue_mail("ada@r1.deped.gov.ph", "reset", language, name=name, link=link)
    return db.session.get_one(outbox.OutboxMail, letter_id)


def again(row: outbox.OutboxMail) -> outbox.OutboxMail:
    expire_orm_state()
    return db.session.get_one(outbox.OutboxMail, row.id)


def test_it_sends_a_letter_once_and_then_forgets_it(mailing: Flask, office: MailOffice) -> None:
    row = letter("Niño & Sons")
    assert outbox.send_due_mail() == 1 and outbox.send_due_mail() == 0
    [raw] = office.letters
    sent = email.message_from_bytes(raw, policy=policy.default)
    assert sent["To"] == "ada@r1.deped.gov.ph" and sent["Subject"] == "A new password for Silid"
    assert "Niño & Sons" in sent.get_body(("plain",)).get_content()
    assert "Niño &amp; Sons" in sent.get_body(("html",)).get_content()
    row = again(row)
    assert (row.state, row.content_encrypted, row.kind) == ("sent", None, "reset")
    assert row.recipient_hash == outbox.hash_email_address("Ada@r1.deped.gov.ph")


def test_what_waits_is_sealed(mailing: Flask) -> None:
    assert "r1.deped" not in (letter().content_encrypted or "")


def test_it_survives_a_dead_server(mailing: Flask, office: MailOffice) -> None:
    settings = mailing.extensions["silid.settings"]
    mailing.extensions["silid.settings"] = replace(settings, mail_url="smtp://127.0.0.1:9")
    row = letter()
    outbox.send_due_mail()
    row = again(row)
    assert (row.state, row.attempts) == ("queued", 1) and "no mail server" in (row.error or "")
    assert outbox.send_due_mail() == 0, "not before the next try"
    mailing.extensions["silid.settings"] = settings
    with time_machine.travel(clock.now() + timedelta(hours=1)):
        outbox.send_due_mail()
    assert len(office.letters) == 1 and again(row).state == "sent"


def test_it_gives_up_on_a_recipient_the_server_does_not_know(mailing: Flask, office: MailOffice) -> None:
    office.refuse = 550
    row = letter()
    outbox.send_due_mail()
    row = again(row)
    assert row.state == "failed" and "ada" not in (row.error or "")
    assert outbox.send_due_mail() == 0, "it is given up"
    office.refuse = 0
    assert outbox.requeue_mail() == 1 and outbox.send_due_mail() == 1
    assert again(row).content_encrypted is None and len(office.letters) == 1
    assert outbox.requeue_mail() == 0, "what was sent is not sent again"


def test_a_server_that_takes_a_letter_and_dies_makes_one_duplicate_at_most(mailing: Flask, office: MailOffice) -> None:
    row = letter()
    office.drop = 1
    outbox.send_due_mail()
    assert again(row).state == "queued" and len(office.letters) == 1
    with time_machine.travel(clock.now() + timedelta(hours=1)):
        outbox.send_due_mail()
        outbox.send_due_mail()
    assert again(row).state == "sent" and len(office.letters) == 2
    first, second = (email.message_from_bytes(raw)["Message-ID"] for raw in office.letters)
    assert first == second, "a mailbox knows them for one"


def test_a_recipient_who_is_busy_is_tried_again(mailing: Flask, office: MailOffice) -> None:
    office.refuse = 450
    row = letter()
    outbox.send_due_mail()
    assert again(row).state == "queued"


def test_no_letter_leaves_if_the_transaction_fails(mailing: Flask, office: MailOffice) -> None:
    def page() -> None:
        with write_transaction():
            letter()
            raise RuntimeError("the page failed")

    with pytest.raises(RuntimeError):
        page()
    assert outbox.send_due_mail() == 0 and not office.letters


@pytest.mark.parametrize("to", ["a@b.ph\nBcc: x@evil.com", "a@b.ph,x@evil.com", "a b@c.ph", "<a@b.ph>", "é@b.ph", ""])
def test_an_address_that_is_none_is_refused(mailing: Flask, to: str) -> None:
    with pytest.raises(ValueError, match="address"):
        outbox.enqueue_mail(to, "reset", "en", name="x", link="x")


@pytest.mark.parametrize("sign", ["\r", "\n", "\r\n", "\v", "\u2028", "\x85", "\0"])
def test_a_subject_stays_one_line(sign: str) -> None:
    assert outbox.strip_control_characters(f"Hello{sign}Bcc: x@evil.com") == "Hello Bcc: x@evil.com"


def test_without_a_server_letters_become_files(mailing: Flask) -> None:
    settings = mailing.extensions["silid.settings"]
    mailing.extensions["silid.settings"] = replace(settings, mail_url="")
    row = letter()
    outbox.send_due_mail()
    sent = email.message_from_bytes((outbox.mail_directory() / f"{row.id}.eml").read_bytes(), policy=policy.default)
    assert "https://silid.test/x" in sent.get_body(("plain",)).get_content()
    assert again(row).state == "sent"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mail_url": "mail.example.ph"}, "MAIL_URL"),
        ({"mail_url": "smtp://me:secret@mail.example.ph"}, "MAIL_URL"),
        ({"mail_from": "me@x.ph\nBcc: you@x.ph"}, "MAIL_FROM"),
        ({"sign_ins_per_address": 0}, "SIGN_INS_PER_ADDRESS"),
        ({"exports_per_hour": 0}, "EXPORTS_PER_HOUR"),
        ({"mail_url": "smtps://me:secret@mail.example.ph:465"}, None),
    ],
)
def test_bad_mail_settings_are_named(changes: dict[str, object], named: str | None) -> None:
    settings = settings_for("sqlite://", "https://pretend.zoom.us", **changes)
    assert [problem.split()[0] for problem in validate_settings(settings)] == ([named] if named else [])

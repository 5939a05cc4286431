"""Backup and restore on an empty host, keys that are changed, and secrets that lie open nowhere."""

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import select

from portal import create_app
from portal.classes.models import Learner
from portal.config import Settings
from portal.core.crypto import init_crypto
from portal.core.db import db, is_postgresql
from portal.meetings.models import ZoomMeeting
from portal.operations import backups
from portal.privacy import erased_list, erasure
from portal.registration.join_links import JoinLink
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from portal.zoom_account.models import ZoomToken
from tests.browser import Browser
from tests.conftest import Client, _drop_postgres, _fresh_postgres
from tests.people import PASSWORD, People
from tests.privacy.test_learner_identity import Lesson


@pytest.fixture
def lesson(app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender) -> Lesson:
    erased_list.erased_list_path().unlink(missing_ok=True)
    return Lesson(app, people, world, sender)


@pytest.fixture
def empty_host(app: Flask, tmp_path: Path) -> Iterator[Flask]:
    """Another installation with the same keys, and nothing in it."""
    settings: Settings = app.extensions["silid.settings"]
    if is_postgresql():
        url = _fresh_postgres(f"{db.engine.url.database}_empty")
    else:
        url = f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    yield (other := host(settings, url, tmp_path / "instance"))
    shut(other)
    if url.startswith("postgresql"):
        _drop_postgres(url)


def host(settings: Settings, url: str, instance: Path) -> Flask:
    other = create_app(replace(settings, database_url=url, instance=instance))
    other.testing = True
    other.test_client_class = Client
    other.config["HOSTS"] |= {"localhost"}
    return other


def shut(other: Flask) -> None:
    with other.app_context():
        db.session.remove()
        db.engine.dispose()


def sheet_of(app: Flask, date: object) -> bytes:
    browser = Browser(app.test_client())
    browser.get("/sign-in")
    browser.submit(email="ada@r1.deped.gov.ph", password=PASSWORD)
    return bytes(browser.client.get(f"/attendance/{date}.csv").get_data())


@pytest.mark.parametrize("portable", [False, True])
def test_a_backup_brings_the_same_sheets_back_on_an_empty_host(
    app: Flask, empty_host: Flask, people: People, lesson: Lesson, tmp_path: Path, portable: bool
) -> None:
    before = sheet_of(app, lesson.date_id)
    file = tmp_path / "silid.backup"
    backups.create_backup(file, portable=portable)
    assert file.stat().st_mode & 0o077 == 0
    with empty_host.app_context():
        assert backups.restore_backup(file) == 0
        assert sheet_of(empty_host, lesson.date_id) == before
        assert db.session.scalars(select(JoinLink)).first().token  # type: ignore[union-attr]
        with pytest.raises(backups.BackupError, match="--replace"):
            backups.restore_backup(file)
        people.person("nova", "Nova Reyes", None, role="admin", scope="region")  # numbers count on
        db.session.remove()


@pytest.mark.parametrize("portal", ["postgresql"], indirect=True)
def test_a_portable_backup_moves_a_school_from_postgresql_to_sqlite_and_back(
    app: Flask, empty_host: Flask, people: People, lesson: Lesson, tmp_path: Path
) -> None:
    before = sheet_of(app, lesson.date_id)
    there, back = tmp_path / "there.backup", tmp_path / "back.backup"
    backups.create_backup(there, portable=True)
    small = host(app.extensions["silid.settings"], f"sqlite:///{tmp_path / 'small.sqlite3'}", tmp_path / "small")
    with small.app_context():
        assert backups.restore_backup(there) == 0 and not is_postgresql()
        assert sheet_of(small, lesson.date_id) == before
        backups.create_backup(back, portable=True)
    with empty_host.app_context():
        assert backups.restore_backup(back) == 0 and is_postgresql()
        assert sheet_of(empty_host, lesson.date_id) == before
        people.person("nova", "Nova Reyes", None, role="admin", scope="region")  # numbers count on
        db.session.remove()
    shut(small)


@pytest.mark.parametrize("portal", ["postgresql"], indirect=True)
def test_a_backup_of_pg_dump_says_that_it_needs_postgresql(
    app: Flask, people: People, lesson: Lesson, tmp_path: Path
) -> None:
    file = tmp_path / "dump.backup"
    part = backups.create_backup(file)
    small = host(app.extensions["silid.settings"], f"sqlite:///{tmp_path / 'small.sqlite3'}", tmp_path / "small")
    with small.app_context():
        if part == backups.TABLES:  # no pg_dump on this machine: then every backup is portable
            assert backups.restore_backup(file) == 0
        else:
            with pytest.raises(backups.BackupError, match="portable"):
                backups.restore_backup(file)
    shut(small)


def test_an_older_backup_erases_again_who_was_erased_since(
    app: Flask, empty_host: Flask, people: People, lesson: Lesson, tmp_path: Path
) -> None:
    file = tmp_path / "silid.backup"
    her, other = lesson.her.id, lesson.learners[1].id
    backups.create_backup(file)
    erasure.request_learner_erasure(db.session.get_one(Learner, her), "asked", by=None)
    erasure.process_due_erasures()
    with empty_host.app_context():
        assert backups.restore_backup(file, erased=erasure_list(app)) == 1
        assert db.session.get_one(Learner, her).last_name == "ERASED"
        assert db.session.get_one(Learner, other).last_name == "DACANAY"
        assert backups.restore_backup(file, replace=True) == 1, "the list has come along"
        db.session.remove()


def erasure_list(app: Flask) -> Path:
    settings: Settings = app.extensions["silid.settings"]
    return settings.instance / "erased.txt"


def test_what_is_no_backup_changes_nothing(app: Flask, people: People, tmp_path: Path) -> None:
    file = tmp_path / "other.zip"
    file.write_bytes(b"PK nonsense")
    with pytest.raises(backups.BackupError, match="not a backup"):
        backups.restore_backup(file, replace=True)
    assert people.ada.email
    told = app.test_cli_runner().invoke(args=["restore", str(file), "--replace"])
    assert told.exit_code == 1 and "not a backup" in told.output


def test_secrets_lie_open_nowhere(app: Flask, lesson: Lesson, tmp_path: Path) -> None:
    file = tmp_path / "silid.backup"
    backups.create_backup(file)
    backups.create_backup(tmp_path / "portable", portable=True)
    raw = b""
    for one in (file, tmp_path / "portable"):
        with zipfile.ZipFile(one) as archive:
            raw += b"".join(archive.read(name) for name in archive.namelist())
    if is_postgresql():
        raw += repr(_everything()).encode()
    else:
        for suffix in ("", "-wal"):
            raw += Path(f"{db.engine.url.database}{suffix}").read_bytes()
    meetings = list(db.session.scalars(select(ZoomMeeting)))
    secrets = [meeting.passcode for meeting in meetings] + [meeting.join_url for meeting in meetings]
    secrets += [row.join_url for row in db.session.scalars(select(MeetingRegistrant))]
    secrets += [link.token for link in db.session.scalars(select(JoinLink))]
    token = db.session.scalars(select(ZoomToken)).one()
    assert token.token_encrypted
    found = [secret for secret in secrets if secret and secret.encode() in raw]
    assert len([one for one in secrets if one]) > 10 and not found
    assert b"zak=" not in raw and b"start_url" not in raw and b"DACANAY" in raw


def _everything() -> list[object]:
    from portal.core.db import Base

    return [tuple(row) for table in Base.metadata.sorted_tables for row in db.session.execute(sa.select(table))]


@pytest.mark.parametrize("command", ["rotate-keys", "reseal"])
def test_keys_can_be_changed_and_the_old_one_taken_out(
    app: Flask, people: People, lesson: Lesson, command: str
) -> None:
    settings: Settings = app.extensions["silid.settings"]
    fresh = Fernet.generate_key().decode()
    link = db.session.scalars(select(JoinLink)).first()
    assert link is not None
    token = link.token
    try:
        init_crypto(app, (fresh, *settings.encryption_keys))
        told = app.test_cli_runner().invoke(args=["data", command])
        assert told.exit_code == 0 and "encrypted with the first key" in told.output
        init_crypto(app, (fresh,))
        db.session.expire_all()
        assert db.session.get_one(JoinLink, link.id).token == token
        assert db.session.get_one(ZoomMeeting, lesson.next.id).join_url
        init_crypto(app, (Fernet.generate_key().decode(),))
        told = app.test_cli_runner().invoke(args=["data", command])
        assert told.exit_code == 1 and "keep the older keys" in told.output
    finally:
        init_crypto(app, settings.encryption_keys)

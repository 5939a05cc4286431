"""A weak webhook secret stops the start, and none at all only switches the webhooks off."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from environs import Env

from portal.config import derive_secret_key, read_settings

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "SILID_MODE": "live",
    "SECRET_KEY": "kD93hsn2kalq0vnsi3nf81kw0dnqpzm4",
    "ENCRYPTION_KEYS": derive_secret_key("tests"),
    "PORTAL_BASE_URL": "https://silid.example.ph",
    "PORT": "0",
}


@pytest.mark.parametrize("secret", ["changeme", "short", "aaaaaaaaaaaaaaaaaaaaaaaa", "kD93hsn2kalq0vnsi3nf,changeme"])
def test_a_weak_secret_stops_the_start_and_is_named(secret: str, tmp_path: Path) -> None:
    environment = os.environ | GOOD | {"ZOOM_WEBHOOK_SECRET": secret, "INSTANCE_PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "app.py")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "ZOOM_WEBHOOK_SECRET is weak" in done.stderr
    assert secret.rpartition(",")[2] not in done.stderr


def test_without_a_secret_it_starts_without_webhooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INSTANCE_PATH", str(tmp_path))
    monkeypatch.delenv("ZOOM_WEBHOOK_SECRET", raising=False)
    assert read_settings(Env()).zoom_webhook_secrets == ()


def test_two_secrets_are_taken_while_they_are_rotated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INSTANCE_PATH", str(tmp_path))
    monkeypatch.setenv("ZOOM_WEBHOOK_SECRET", "kD93hsn2kalq0vnsi3nf, 0dnqpzm4hsn2kalq0vns")
    assert read_settings(Env()).zoom_webhook_secrets == ("kD93hsn2kalq0vnsi3nf", "0dnqpzm4hsn2kalq0vns")

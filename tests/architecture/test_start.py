"""Live mode refuses to start with weak settings, and names each variable."""

import runpy
from pathlib import Path

import pytest
from environs import Env
from gunicorn.config import Config
from gunicorn.glogging import Logger

from portal import load_settings
from portal.config import BadSettings, derive_secret_key

GOOD = {
    "SILID_MODE": "live",
    "SECRET_KEY": "kD93hsn2kalq0vnsi3nf81kw0dnqpzm4",
    "ENCRYPTION_KEYS": derive_secret_key("tests"),
    "PORTAL_BASE_URL": "https://silid.example.ph",
}
NAMES = (
    "DEBUG FLASK_DEBUG TESTING SECRET_KEY SECRET_KEY_FALLBACKS PORTAL_BASE_URL REDIS_URL ENCRYPTION_KEYS PORT "
    "ZOOM_ACCOUNT_ID ZOOM_CLIENT_ID ZOOM_CLIENT_SECRET ZOOM_WEBHOOK_SECRET METRICS_TOKEN MAIL_URL MAIL_FROM "
    "SIGN_INS_PER_ADDRESS EXPORTS_PER_HOUR TRUSTED_PROXIES ALLOWED_EMAIL_DOMAIN DATABASE_URL "
    "GOOGLE_CLIENT_ID GOOGLE_CLIENT_SECRET GOOGLE_ISSUER MICROSOFT_CLIENT_ID MICROSOFT_CLIENT_SECRET MICROSOFT_TENANT "
    "MICROSOFT_ISSUER"
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> pytest.MonkeyPatch:
    """Good settings and no others."""
    for name in NAMES.split():
        monkeypatch.delenv(name, raising=False)
    for name, value in {**GOOD, "INSTANCE_PATH": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def problems() -> list[str]:
    with pytest.raises(BadSettings) as refused:
        load_settings(Env())
    return refused.value.problems


def test_good_settings_start() -> None:
    assert load_settings(Env()).mode == "live"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "dev"),
        ("SECRET_KEY", "a" * 64),
        ("SECRET_KEY_FALLBACKS", "dev"),
        ("SECRET_KEY_FALLBACKS", "kD93hsn2kalq0vnsi3nf81kw0dnqpzm5, changeme"),
        ("DEBUG", "1"),
        ("DEBUG", "true"),
        ("FLASK_DEBUG", "1"),
        ("FLASK_DEBUG", "banana"),
        ("TESTING", "yes"),
        ("PORTAL_BASE_URL", ""),
        ("PORTAL_BASE_URL", "http://silid.example.ph"),
        ("PORTAL_BASE_URL", "silid.example.ph"),
        ("PORTAL_BASE_URL", "https://silid.example.ph:port"),
        ("REDIS_URL", "nonsense"),
        ("REDIS_URL", "http://localhost:6379"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://localhost:port/0"),
        ("ENCRYPTION_KEYS", "not-a-key"),
        ("METRICS_TOKEN", "1234"),
        ("PORT", "eighty"),
        ("GOOGLE_CLIENT_ID", "123.apps.googleusercontent.com"),
        ("GOOGLE_CLIENT_SECRET", "GOCSPX-alone"),
        ("MICROSOFT_TENANT", "common"),
        ("SILID_MODE", "production"),
    ],
)
def test_a_weak_setting_stops_the_start(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    [problem] = problems()
    assert name in problem
    assert not name.startswith("SECRET") or len(value) < 4 or value not in problem


def test_all_that_is_wrong_is_named_at_once(environment: pytest.MonkeyPatch) -> None:
    wrong = {
        "SECRET_KEY": "dev",
        "SECRET_KEY_FALLBACKS": "dev",
        "DEBUG": "1",
        "FLASK_DEBUG": "1",
        "TESTING": "1",
        "PORTAL_BASE_URL": "http://silid.example.ph",
        "REDIS_URL": "nonsense",
    }
    for name, value in wrong.items():
        environment.setenv(name, value)
    named = {problem.split()[0] for problem in problems()}
    assert named == set(wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "0"),
        ("FLASK_DEBUG", "false"),
        ("TESTING", ""),
        ("PORTAL_BASE_URL", "http://localhost:8000"),
        ("PORTAL_BASE_URL", "http://[::1]:8000"),
        ("REDIS_URL", "rediss://:secret@redis.example.ph:6380/1"),
        ("REDIS_URL", "unix:///run/redis.sock"),
        ("SECRET_KEY_FALLBACKS", "kD93hsn2kalq0vnsi3nf81kw0dnqpzm5"),
    ],
)
def test_what_is_in_order_starts(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    assert load_settings(Env()).mode == "live"


MICROSOFT = {
    "MICROSOFT_CLIENT_ID": "5c6d7e8f-0000-4000-8000-000000000001",
    "MICROSOFT_CLIENT_SECRET": "kq~8Q~a-secret-value-of-an-app",
    "MICROSOFT_TENANT": "8eaef023-2b34-4da1-9baa-8bc8c9d6a490",
}


def test_the_tenants_own_id_makes_its_issuer(environment: pytest.MonkeyPatch) -> None:
    for name, value in MICROSOFT.items():
        environment.setenv(name, value.upper() if name == "MICROSOFT_TENANT" else value)
    settings = load_settings(Env())
    assert settings.microsoft_issuer == "https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MICROSOFT_TENANT", ""),
        ("MICROSOFT_TENANT", "common"),
        ("MICROSOFT_TENANT", "organizations"),
        ("MICROSOFT_TENANT", "deped.gov.ph"),
        ("MICROSOFT_TENANT", "8eaef023-2b34-4da1-9baa-8bc8c9d6a490/../common"),
        ("MICROSOFT_CLIENT_SECRET", ""),
        ("MICROSOFT_CLIENT_SECRET", "8EAEF023-2b34-4da1-9baa-8bc8c9d6a490"),  # the secret's id
        ("MICROSOFT_ISSUER", "http://login.example.ph"),
        ("MICROSOFT_ISSUER", "https://login.example.ph/?tenant=x"),
        ("MICROSOFT_ISSUER", "login.example.ph"),
    ],
)
def test_sign_in_with_microsoft_wants_all_of_it(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    for known, good in (MICROSOFT | {name: value}).items():
        environment.setenv(known, good)
    [problem] = problems()
    assert name in problem


def test_gunicorn_finds_the_logger_that_its_settings_name() -> None:
    config = runpy.run_path(str(Path(__file__).parents[2] / "gunicorn.conf.py"))
    settings = Config()
    settings.set("logger_class", config["logger_class"])
    assert issubclass(settings.logger_class, Logger)

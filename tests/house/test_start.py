"""Live mode refuses to start with weak settings, and names each variable."""

import pytest
from environs import Env

from portal.config import BadSettings, derived_key, read_settings

GOOD = {
    "SILID_MODE": "live",
    "SECRET_KEY": "kD93hsn2kalq0vnsi3nf81kw0dnqpzm4",
    "ENCRYPTION_KEYS": derived_key("tests"),
    "PORTAL_BASE_URL": "https://silid.example.ph",
}
NAMES = (
    "DEBUG FLASK_DEBUG TESTING SECRET_KEY SECRET_KEY_FALLBACKS PORTAL_BASE_URL REDIS_URL ENCRYPTION_KEYS PORT "
    "ZOOM_ACCOUNT_ID ZOOM_CLIENT_ID ZOOM_CLIENT_SECRET ZOOM_WEBHOOK_SECRET METRICS_TOKEN MAIL_URL MAIL_FROM "
    "SIGN_INS_PER_ADDRESS TRUSTED_PROXIES ALLOWED_EMAIL_DOMAIN DATABASE_URL"
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
        read_settings(Env())
    return refused.value.problems


def test_good_settings_start() -> None:
    assert read_settings(Env()).mode == "live"


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
    assert read_settings(Env()).mode == "live"

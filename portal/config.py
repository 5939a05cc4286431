"""Settings from the environment, read once and validated before anything starts.

`SILID_MODE` is `live` unless set to `demo`. In live mode weak or missing settings stop the start and each is named; in
demo mode everything has a harmless default and Zoom is simulated.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from environs import Env, EnvError

ROOT = Path(__file__).resolve().parent.parent
ZOOM_SDK_VERSION = "5.1.4"  # of the Meeting SDK for the web; Zoom blocks outdated versions
ZOOM_API_URL = "https://api.zoom.us/v2"
ZOOM_OAUTH_URL = "https://zoom.us/oauth/token"
GOOGLE_URL = "https://accounts.google.com"
MICROSOFT_URL = "https://login.microsoftonline.com"
SANDBOX_MOUNT = "/zoom-sandbox"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
FALSE_WORDS = {"", "0", "false", "no", "off", "n", "f"}
WEAK_SECRETS = {"changeme", "change-me", "secret", "dev", "test", "password", "default", "example"}


class BadSettings(Exception):
    """The settings are invalid, so the portal must not start. `problems` names each variable and its remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Settings:
    """All settings. Secrets are excluded from the representation."""

    mode: str
    secret_key: str = field(repr=False)
    secret_key_fallbacks: tuple[str, ...] = field(default=(), repr=False)
    database_url: str = field(default="", repr=False)
    base_url: str = "http://127.0.0.1:8000"
    trusted_proxies: int = 0
    email_domains: tuple[str, ...] = ("r1.deped.gov.ph",)
    zoom_account_id: str = ""
    zoom_client_id: str = ""
    zoom_client_secret: str = field(default="", repr=False)
    zoom_webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    zoom_sdk_key: str = ""
    zoom_sdk_secret: str = field(default="", repr=False)
    zoom_sdk_version: str = ZOOM_SDK_VERSION
    zoom_api_url: str = ZOOM_API_URL
    zoom_oauth_url: str = ZOOM_OAUTH_URL
    mail_url: str = field(default="", repr=False)
    mail_from: str = "silid@localhost"
    codes_for_admins: bool = True  # admins must enable one-time codes
    argon2_time_cost: int = 2  # of a password's hash; read from no variable: only the tests lower it
    argon2_memory_kib: int = 19456  # likewise
    sign_ins_per_address: int = 50  # failed sign-ins in 10 minutes; an office may share one IP address
    exports_per_hour: int = 60  # files with learners' rows per user
    zoom_hosts: tuple[str, ...] = ()  # Zoom users who host for teachers without one of their own
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    instance: Path = ROOT / "instance"
    port: int = 8000
    host: str = "127.0.0.1"
    worker_inside: bool = True
    reconcile_minutes: tuple[int, ...] = (30, 60, 360, 1440)
    metrics_token: str = field(default="", repr=False)  # empty: /metrics is off
    redis_url: str = field(default="", repr=False)  # rate limits shared by several processes
    log_level: str = "INFO"
    google_client_id: str = ""  # empty: no sign-in with Google
    google_client_secret: str = field(default="", repr=False)
    google_issuer: str = GOOGLE_URL
    microsoft_client_id: str = ""  # empty: no sign-in with Microsoft
    microsoft_client_secret: str = field(default="", repr=False)
    microsoft_tenant: str = ""
    microsoft_issuer: str = ""

    @property
    def is_demo(self) -> bool:
        return self.mode == "demo"

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def zoom_is_configured(self) -> bool:
        return bool(self.zoom_account_id and self.zoom_client_id and self.zoom_client_secret)

    @property
    def zoom_sdk_is_configured(self) -> bool:
        return bool(self.zoom_sdk_key and self.zoom_sdk_secret)


def read_environment() -> Env:
    """The environment, with what `.env` adds to it."""
    env = Env()
    env.read_env(str(ROOT / ".env"), recurse=False)
    return env


def read_mode(env: Env) -> str:
    """`live` or `demo`. Raises BadSettings for anything else."""
    mode: str = env.str("SILID_MODE", "live").strip().lower()
    if mode not in ("live", "demo"):
        raise BadSettings(["SILID_MODE must be live or demo."])
    return mode


def read_settings(env: Env) -> Settings:
    """Settings of the live mode; `portal.load_settings` chooses by mode. Raises BadSettings, which names every bad
    variable."""
    try:
        return _live_settings(env)
    except EnvError as error:
        raise BadSettings([str(error)]) from error


def instance_directory(env: Env) -> Path:
    """Directory of this installation's files: the SQLite database, mails, and the demo's data."""
    folder = Path(env.str("INSTANCE_PATH", "") or ROOT / "instance")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # children's names: readable by the server's user only
    return folder.resolve()


def _live_settings(env: Env) -> Settings:
    settings = Settings(
        mode="live",
        secret_key=env.str("SECRET_KEY", ""),
        secret_key_fallbacks=_read_list(env, "SECRET_KEY_FALLBACKS"),
        database_url=env.str("DATABASE_URL", "") or f"sqlite:///{instance_directory(env) / 'silid.sqlite3'}",
        instance=instance_directory(env),
        base_url=env.str("PORTAL_BASE_URL", "").rstrip("/"),
        trusted_proxies=env.int("TRUSTED_PROXIES", 0),
        email_domains=read_domains(env),
        zoom_account_id=env.str("ZOOM_ACCOUNT_ID", ""),
        zoom_client_id=env.str("ZOOM_CLIENT_ID", ""),
        zoom_client_secret=env.str("ZOOM_CLIENT_SECRET", ""),
        zoom_webhook_secrets=_read_list(env, "ZOOM_WEBHOOK_SECRET"),
        zoom_sdk_key=env.str("ZOOM_SDK_KEY", ""),
        zoom_sdk_secret=env.str("ZOOM_SDK_SECRET", ""),
        zoom_sdk_version=env.str("ZOOM_SDK_VERSION", "") or ZOOM_SDK_VERSION,
        zoom_api_url=env.str("ZOOM_API_URL", "") or ZOOM_API_URL,
        zoom_oauth_url=env.str("ZOOM_OAUTH_URL", "") or ZOOM_OAUTH_URL,
        zoom_hosts=tuple(host.lower() for host in _read_list(env, "ZOOM_HOSTS")),
        encryption_keys=_read_list(env, "ENCRYPTION_KEYS"),
        port=env.int("PORT", 8000),
        host=env.str("HOST", "127.0.0.1"),
        worker_inside=env.bool("WORKER_INSIDE", True),
        mail_url=env.str("MAIL_URL", ""),
        mail_from=env.str("MAIL_FROM", "") or _default_sender(env.str("PORTAL_BASE_URL", "")),
        sign_ins_per_address=env.int("SIGN_INS_PER_ADDRESS", 50),
        exports_per_hour=env.int("EXPORTS_PER_HOUR", 60),
        metrics_token=env.str("METRICS_TOKEN", ""),
        redis_url=env.str("REDIS_URL", ""),
        log_level=env.str("LOG_LEVEL", "").upper() or "INFO",
        google_client_id=env.str("GOOGLE_CLIENT_ID", "").strip(),
        google_client_secret=env.str("GOOGLE_CLIENT_SECRET", "").strip(),
        google_issuer=env.str("GOOGLE_ISSUER", "").rstrip("/") or GOOGLE_URL,
        microsoft_client_id=env.str("MICROSOFT_CLIENT_ID", "").strip(),
        microsoft_client_secret=env.str("MICROSOFT_CLIENT_SECRET", "").strip(),
        microsoft_tenant=_read_tenant(env),
        microsoft_issuer=env.str("MICROSOFT_ISSUER", "").rstrip("/") or f"{MICROSOFT_URL}/{_read_tenant(env)}/v2.0",
    )
    problems = validate_settings(settings)
    problems += [
        f"{name} must not be switched on in live mode: leave it out."
        for name in ("DEBUG", "FLASK_DEBUG", "TESTING")
        if env.str(name, "").strip().lower() not in FALSE_WORDS
    ]
    if problems:
        raise BadSettings(problems)
    return settings


def validate_settings(settings: Settings) -> list[str]:
    """Problems of live settings, one sentence each, beginning with the variable's name."""
    problems = []
    if _is_weak(settings.secret_key):
        problems.append(
            "SECRET_KEY is missing or weak: set it to at least 32 random characters "
            '(python -c "import secrets; print(secrets.token_urlsafe(48))").'
        )
    if any(_is_weak(key) for key in settings.secret_key_fallbacks):
        problems.append(
            "SECRET_KEY_FALLBACKS holds a weak key: whoever guesses it can still sign cookies. Leave it out."
        )
    problems += [
        "ZOOM_WEBHOOK_SECRET is weak: copy the Secret Token of the app's Feature page, or leave it out to run "
        "without webhooks."
        for secret in settings.zoom_webhook_secrets
        if _is_weak(secret, min_length=16)
    ][:1]
    if settings.metrics_token and _is_weak(settings.metrics_token, min_length=16):
        problems.append("METRICS_TOKEN is weak: set it to at least 16 random characters, or leave it out.")
    if not settings.encryption_keys:
        problems.append("ENCRYPTION_KEYS is missing: make one with python app.py --make-keys.")
    elif not all(_is_fernet_key(key) for key in settings.encryption_keys):
        problems.append("ENCRYPTION_KEYS holds something that is not a key: make one with python app.py --make-keys.")
    if settings.log_level not in LOG_LEVELS:
        problems.append(f"LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}.")
    problems += _check_base_url(settings.base_url)
    problems += _check_redis(settings.redis_url)
    problems += _check_mail(settings)
    zoom_credentials = (settings.zoom_account_id, settings.zoom_client_id, settings.zoom_client_secret)
    if any(zoom_credentials) and not all(zoom_credentials):
        problems.append("ZOOM_ACCOUNT_ID, ZOOM_CLIENT_ID and ZOOM_CLIENT_SECRET belong together: set all or none.")
    if bool(settings.zoom_sdk_key) != bool(settings.zoom_sdk_secret):
        problems.append("ZOOM_SDK_KEY and ZOOM_SDK_SECRET belong together: set both or none.")
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){2}", settings.zoom_sdk_version):
        problems.append("ZOOM_SDK_VERSION must look like 5.1.4.")
    problems += _check_openid(settings)
    if not settings.email_domains:
        problems.append("ALLOWED_EMAIL_DOMAIN is empty: name at least one domain.")
    return problems


def _check_base_url(url: str) -> list[str]:
    parts = urlsplit(url)
    if not parts.hostname or not _has_valid_port(url):
        return ["PORTAL_BASE_URL is missing: set it to the address people open, e.g. https://silid.example.ph."]
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        return ["PORTAL_BASE_URL must begin with https:// (http is for this computer alone)."]
    return []


def _check_redis(url: str) -> list[str]:
    parts = urlsplit(url)
    target = parts.path if parts.scheme == "unix" else parts.hostname
    if url and not (parts.scheme in ("redis", "rediss", "unix") and target and _has_valid_port(url)):
        return ["REDIS_URL must look like redis://:password@host:6379/0 (or rediss://...). Leave it out to do without."]
    return []


def _check_openid(settings: Settings) -> list[str]:
    """Sign-in with Google and Microsoft: all variables of a provider, or none."""
    problems = []
    if bool(settings.google_client_id) != bool(settings.google_client_secret):
        problems.append("GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET belong together: set both or none.")
    if bool(settings.microsoft_client_id) != bool(settings.microsoft_client_secret):
        problems.append("MICROSOFT_CLIENT_ID and MICROSOFT_CLIENT_SECRET belong together: set both or none.")
    if _is_guid(settings.microsoft_client_secret.lower()):
        problems.append("MICROSOFT_CLIENT_SECRET is the secret's ID: copy its Value, which is shown only once.")
    if (settings.microsoft_client_id or settings.microsoft_tenant) and not _is_guid(settings.microsoft_tenant):
        problems.append(
            "MICROSOFT_TENANT must be the Directory (tenant) ID of your own organisation, such as "
            "8eaef023-2b34-4da1-9baa-8bc8c9d6a490. A name, or common, would let other organisations in."
        )
    for name, url, is_used in (
        ("GOOGLE_ISSUER", settings.google_issuer, settings.google_client_id),
        ("MICROSOFT_ISSUER", settings.microsoft_issuer, settings.microsoft_client_id),
    ):
        parts = urlsplit(url)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        if is_used and not (
            is_safe and parts.hostname and _has_valid_port(url) and not parts.query and not parts.fragment
        ):
            problems.append(f"{name} must be an https:// address without a query. Leave it out outside of tests.")
    return problems


def _is_guid(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text))


def _has_valid_port(url: str) -> bool:
    """True unless the URL has an invalid port."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _check_mail(settings: Settings) -> list[str]:
    url = urlsplit(settings.mail_url)
    problems = []
    if settings.mail_url and not (url.scheme in ("smtp", "smtp+starttls", "smtps") and url.hostname):
        problems.append(
            "MAIL_URL must look like smtps://user:password@mail.example.ph:465 (or smtp+starttls://, smtp://)."
        )
    elif url.scheme == "smtp" and url.username and url.hostname not in LOOPBACK:
        problems.append("MAIL_URL would send its password in the open: use smtps:// or smtp+starttls://.")
    if any(char in settings.mail_from for char in "\r\n<> ") or settings.mail_from.count("@") != 1:
        problems.append("MAIL_FROM must be one plain e-mail address.")
    if settings.sign_ins_per_address < 1:
        problems.append("SIGN_INS_PER_ADDRESS must be at least 1.")
    if settings.exports_per_hour < 1:
        problems.append("EXPORTS_PER_HOUR must be at least 1.")
    return problems


def _default_sender(base_url: str) -> str:
    return f"silid@{urlsplit(base_url).hostname or 'localhost'}"


def _is_weak(secret: str, min_length: int = 32) -> bool:
    return len(secret) < min_length or len(set(secret)) < 8 or secret.lower() in WEAK_SECRETS


def _is_fernet_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == 32
    except ValueError:
        return False


def derive_secret_key(name: str) -> str:
    """A fixed Fernet key derived from `name`, for the demo and the tests, where nothing is secret."""
    return base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).decode()


def _read_tenant(env: Env) -> str:
    return env.str("MICROSOFT_TENANT", "").strip().lower()


def _read_list(env: Env, name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in env.str(name, "").split(",") if part.strip())


def read_domains(env: Env) -> tuple[str, ...]:
    """E-mail domains whose accounts may sign in."""
    return tuple(domain.lower() for domain in _read_list(env, "ALLOWED_EMAIL_DOMAIN")) or ("r1.deped.gov.ph",)

"""Settings of the demo mode (SILID_MODE=demo)."""

from environs import Env, EnvError

from portal.config import SANDBOX_MOUNT, BadSettings, Settings, derive_secret_key, instance_directory, read_domains
from portal.sandbox import defaults


def read_demo_settings(env: Env) -> Settings:
    """Settings of the demo: a harmless default for everything, and the simulated Zoom at a path of the portal.
    Raises BadSettings."""
    try:
        return _demo_settings(env)
    except EnvError as error:
        raise BadSettings([str(error)]) from error


def _demo_settings(env: Env) -> Settings:
    port = env.int("PORT", 8000)
    base_url = env.str("PORTAL_BASE_URL", "").rstrip("/") or f"http://127.0.0.1:{port}"
    zoom = f"http://127.0.0.1:{port}{SANDBOX_MOUNT}"
    return Settings(
        mode="demo",
        secret_key="demo-only-" + "0" * 40,
        database_url=f"sqlite:///{instance_directory(env) / 'demo.sqlite3'}",
        instance=instance_directory(env),
        base_url=base_url,
        trusted_proxies=env.int("TRUSTED_PROXIES", 0),
        email_domains=read_domains(env),
        zoom_account_id=defaults.ACCOUNT_ID,
        zoom_client_id=defaults.CLIENT_ID,
        zoom_client_secret=defaults.CLIENT_SECRET,
        zoom_webhook_secrets=(defaults.WEBHOOK_SECRET,),
        zoom_api_url=f"{zoom}/v2",
        zoom_oauth_url=f"{zoom}/oauth/token",
        encryption_keys=(derive_secret_key("demo"),),
        port=port,
        host=env.str("HOST", "127.0.0.1"),
        reconcile_minutes=(1, 2, 5, 10),
        codes_for_admins=False,
        log_level=env.str("LOG_LEVEL", "").upper() or "WARNING",  # keeps the sign-ins readable on the terminal
    )

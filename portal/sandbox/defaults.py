"""Default ids and secrets of the simulated Zoom. They protect nothing: they are published here."""

ACCOUNT_ID = "SandboxAccountOfSilid0"
CLIENT_ID = "sandbox-client-of-silid"
CLIENT_SECRET = "sandbox-client-secret-protects-nothing-at-all"  # noqa: S105 - published on purpose
WEBHOOK_SECRET = "sandbox-webhook-secret-protects-nothing-at-all"  # noqa: S105 - published on purpose
SDK_KEY = "sandbox-sdk-key-of-silid"
SDK_SECRET = "sandbox-sdk-secret-protects-nothing-at-all"  # noqa: S105 - published on purpose

PORT = 8010
TIMEZONE = "Asia/Manila"

"""gunicorn reads this file by itself where it is started in this folder: gunicorn "app:create_app()"."""

logger_class = "portal.core.gunicorn_logs.GunicornLines"  # no access lines: they would name secret links

"""Logger class for gunicorn (see gunicorn.conf.py): JSON lines, and no access log, as its lines would contain secret
links."""

from typing import Any

from gunicorn.glogging import Logger

from portal.core.logs import JsonFormatter


class GunicornLogger(Logger):
    """gunicorn's log in the portal's JSON format. The portal itself logs every request."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter())

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """No-op, whatever `--access-logfile` says."""

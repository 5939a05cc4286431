"""For gunicorn (see gunicorn.conf.py): its own lines as JSON too, and no access lines: they name secret links."""

from typing import Any

from gunicorn.glogging import Logger

from portal.core.logs import JsonFormatter


class GunicornLogger(Logger):
    """gunicorn's lines in the portal's form. The portal writes one line for every request itself."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter())

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Nothing, whatever `--access-logfile` says."""

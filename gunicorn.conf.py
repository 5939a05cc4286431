"""gunicorn reads this file by itself where it is started in this folder: gunicorn "app:create_app()"."""

logger_class = "portal.core.gunicorn_logs.GunicornLogger"  # no access lines: they would name secret links


def post_worker_init(worker: object) -> None:
    """Tell the portal how many threads serve pages: a quarter of them may read workbooks or wait for it."""
    from portal.classes.workbook_reader.process import share_web_threads

    share_web_threads(worker.cfg.threads)  # type: ignore[attr-defined]  # gunicorn has no types

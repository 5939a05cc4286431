"""`python app.py` starts the portal; `python app.py --demo` starts it with a simulated Zoom.

As a module it provides `create_app()` for `flask --app app` and WSGI servers ("app:create_app()").
"""

import argparse
import os
import secrets
import signal
import sys
import threading

from cryptography.fernet import Fernet
from flask import Flask
from flask.cli import NoAppException

import portal
from portal.config import SANDBOX_MOUNT, BadSettings, Settings

WEB_THREADS = 12


def create_app() -> Flask:
    """Create the application, with settings from the environment and `.env`.

    Raises NoAppException, which the command line prints without a traceback; it names each bad variable.
    """
    try:
        return portal.create_app()
    except BadSettings as error:
        raise NoAppException(_startup_error_message(error)) from None


def _startup_error_message(error: BadSettings) -> str:
    return "\n".join(
        [
            "Silid cannot start:",
            *(f"  - {problem}" for problem in error.problems),
            "Copy .env.example to .env and fill it in, or try: python app.py --demo",
        ]
    )


def make_keys() -> str:
    """New random secrets, as lines for `.env`."""
    return f"SECRET_KEY={secrets.token_urlsafe(48)}\nENCRYPTION_KEYS={Fernet.generate_key().decode()}"


def main() -> int:
    """Start the web server with the worker inside, until Ctrl-C; returns the exit code."""
    parser = argparse.ArgumentParser(description="Silid, the portal where DepEd teachers run their Zoom classes.")
    parser.add_argument("--demo", action="store_true", help="a demo school with a pretend Zoom, nothing to set up")
    parser.add_argument("--port", type=int, help="instead of PORT (default 8000)")
    parser.add_argument("--make-keys", action="store_true", help="print fresh secrets for .env, and end")
    arguments = parser.parse_args()
    if arguments.make_keys:
        print(make_keys())
        return 0
    if arguments.demo:
        os.environ["SILID_MODE"] = "demo"
    if arguments.port:
        os.environ["PORT"] = str(arguments.port)
    try:
        settings = portal.load_settings()
    except BadSettings as error:
        print(_startup_error_message(error), file=sys.stderr)
        return 2
    return serve(settings)


def serve(settings: Settings) -> int:
    """Migrate the database, then serve until interrupted; returns the exit code."""
    from flask_migrate import upgrade
    from waitress.server import create_server

    from portal.classes.workbook_reader.process import share_web_threads
    from portal.jobs.worker import Worker

    app = portal.create_app(settings)
    with app.app_context():
        upgrade()
    application, sandbox = app.wsgi_app, None
    if settings.is_demo:
        from portal.demo.fill import mount_sandbox_app

        application, sandbox = mount_sandbox_app(app, settings)
        app.wsgi_app = application  # type: ignore[method-assign]  # Flask's own way to wrap an application
    try:
        server = create_server(app, host=settings.host, port=settings.port, threads=WEB_THREADS, ident="")
    except OSError as error:
        print(f"Port {settings.port} is taken or not allowed: {error}. Try --port 8080.", file=sys.stderr)
        return 1
    share_web_threads(WEB_THREADS)
    worker = Worker(app)
    threading.Thread(target=server.run, name="web", daemon=True).start()
    if settings.worker_inside:
        worker.start()
    if sandbox is not None:
        sandbox.start()
        _fill_demo_and_print_sign_ins(app, settings)
    else:
        print(f"Silid is ready: {settings.base_url}  (Ctrl-C ends it)", flush=True)
    _wait_for_interrupt()
    print("\nStopping ...", flush=True)
    server.close()
    if settings.worker_inside:
        worker.stop()
    if sandbox is not None:
        sandbox.stop()
    return 0


def _fill_demo_and_print_sign_ins(app: object, settings: Settings) -> None:
    from portal.demo.fill import create_demo_data
    from portal.demo.school_data import SIGN_INS

    with app.app_context():  # type: ignore[attr-defined]  # a Flask application
        create_demo_data(lambda text: print(text, flush=True))
    print(f"\nSilid is ready: {settings.base_url}  (Ctrl-C ends it)")
    print(f"The pretend Zoom: {settings.base_url}{SANDBOX_MOUNT}/\n\nSign in as")
    for label, email, password in SIGN_INS:
        print(f"  {label:<24} {email}   password: {password}")
    print(flush=True)


def _wait_for_interrupt() -> None:
    stop_event = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop_event.set())
    while not stop_event.wait(0.5):  # a wait without timeout cannot be interrupted on Windows
        pass


if __name__ == "__main__":
    sys.exit(main())

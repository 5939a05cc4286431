"""Commands: `flask --app app <command>`."""

from pathlib import Path

import click
from flask import Flask, current_app, g
from flask.cli import AppGroup

from portal.core.settings import current_settings
from portal.operations.schema_repairs import ACCEPT
from portal.webhooks.codes import DeliveryState


def init_cli(app: Flask) -> None:
    """Register the commands."""
    app.cli.add_command(users_group)
    app.cli.add_command(webhooks_group)
    app.cli.add_command(zoom_group)
    app.cli.add_command(attendance_group)
    app.cli.add_command(data_group)
    app.cli.command("worker")(run_worker)
    app.cli.command("backup")(backup_command)
    app.cli.command("restore")(restore_command)
    app.cli.command("demo")(fill_demo_school)
    app.cli.command("sandbox", context_settings={"ignore_unknown_options": True})(run_sandbox)
    _add_accept_option()


def _add_accept_option() -> None:
    """Add --accept to Flask-Migrate's `db upgrade`; it passes Alembic's `-x accept` on to `migrations/env.py`.

    The group `db` loads the application before `upgrade` reads its options, so that this comes in time.
    """
    from flask_migrate.cli import upgrade

    if any(option.name == ACCEPT for option in upgrade.params):
        return  # the command is one for all applications of the process
    upgrade.params.append(
        click.Option(
            [f"--{ACCEPT}"],
            is_flag=True,
            expose_value=False,
            callback=_pass_accept_on,
            help="End the overlapping times on rosters that the upgrade has listed.",
        )
    )


def _pass_accept_on(_context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        g.x_arg = (*g.x_arg, ACCEPT)


users_group = AppGroup("users", help="Accounts.")
webhooks_group = AppGroup("webhooks", help="Zoom's deliveries.")
zoom_group = AppGroup("zoom", help="The connection to Zoom.")
attendance_group = AppGroup("attendance", help="Sheets.")
data_group = AppGroup("data", help="What is kept, and for how long.")


@users_group.command("create")
@click.option("--email", required=True)
@click.option("--name", "full_name", required=True)
@click.option("--role", type=click.Choice(["teacher", "admin"]), default="admin", show_default=True)
@click.option("--scope", type=click.Choice(["school", "division", "region"]), help="Of an admin.")
@click.option("--school-id", help="DepEd's id of the school, 6 digits.")
@click.option("--school-name", help="With --school-id, where the school is new.")
@click.option("--division", default="", help="With --school-id, where the school is new.")
@click.password_option()
def create_user_command(
    email: str,
    full_name: str,
    role: str,
    scope: str | None,
    school_id: str | None,
    school_name: str | None,
    division: str,
    password: str,
) -> None:
    """Make an account that may sign in at once, e.g. the first administrator."""
    from flask_migrate import upgrade

    from portal.accounts import service
    from portal.accounts.sign_in import passwords

    settings = current_settings()
    if passwords.password_weakness(password, full_name, email.partition("@")[0]):
        raise click.UsageError(
            "The password needs at least 12 characters and must not be made of well-known words, dates, keys in a "
            "row, or the person's name. Three or four unrelated words are good."
        )
    upgrade()  # this is the first command of a new installation
    if role == "admin" and scope is None:
        scope = "school" if school_id else "region"
    school = None
    if school_id:
        if not (school_id.isascii() and school_id.isdigit() and len(school_id) == 6):
            raise click.UsageError("--school-id is DepEd's id of the school: 6 digits.")
        school = service.get_or_create_school(school_id, school_name or f"School {school_id}", division)
    elif role == "teacher" or scope in ("school", "division"):
        raise click.UsageError("A teacher, and an admin of a school or division, needs --school-id.")
    try:
        user = service.create_user(
            email=email,
            full_name=full_name,
            role=role,
            scope=scope if role == "admin" else None,
            school=school,
            password=password,
            domains=settings.email_domains,
        )
    except service.AccountError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{user.email} can sign in now.")


@webhooks_group.command("replay")
@click.option("--everything", is_flag=True, help="Also those that were projected already: harmless, but long.")
def replay_webhooks(everything: bool) -> None:
    """Project again what was set aside (after a repair)."""
    from portal.webhooks.replay import replay_deliveries

    states = (
        (DeliveryState.FAILED, DeliveryState.IGNORED, DeliveryState.DONE, DeliveryState.UNMATCHED)
        if everything
        else (DeliveryState.FAILED,)
    )
    click.echo(f"{replay_deliveries(states)} deliveries will be projected again.")


@zoom_group.command("check")
def check_zoom_account() -> None:
    """Credentials, permissions, webhooks, limits, what waits; in plain words. Exit code 1 where something is wrong."""
    from flask_babel import force_locale

    from portal.pages.admin.zoom_check import zoom_connection_report

    prefixes = {"good": "  ok    ", "warm": "  note  ", "bad": "  BAD   ", "plain": "        ", "head": ""}
    bad_count = 0
    with force_locale("en"):
        for line in zoom_connection_report():
            bad_count += line.kind == "bad"
            click.secho(f"{prefixes[line.kind]}{line.text}", bold=line.kind in ("head", "bad"))
    if bad_count:
        raise click.ClickException(
            f"{bad_count} to put right, marked BAD above." if bad_count > 1 else "One thing to put right."
        )


@data_group.command("purge")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def purge_expired_data(dry_run: bool) -> None:
    """Take away what is too old to keep; --dry-run lists it. The portal does it hourly by itself."""
    from portal.jobs.retention import delete_expired_rows

    for name, count in delete_expired_rows(dry_run=dry_run).items():
        click.echo(f"{count:>8} {name}{' would go' if dry_run else ' gone'}")


@data_group.command("rotate-keys")
def rotate_encryption_keys() -> None:
    """Encrypt passcodes, links and tokens with the first of ENCRYPTION_KEYS; the older keys can then be taken out."""
    from portal.operations.backups import rotate_all_encryption

    done, broken = rotate_all_encryption()
    click.echo(f"{done} values are encrypted with the first key.")
    if broken:
        raise click.ClickException(f"{broken} values open with none of the keys: keep the older keys.")


@data_group.command("reseal", hidden=True)
def rotate_keys_as_reseal() -> None:
    """The same as rotate-keys, under the name before: scripts of those who run a portal still call it."""
    click.get_current_context().invoke(rotate_encryption_keys)


@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--portable", is_flag=True, help="In a form that SQLite and PostgreSQL both take.")
def backup_command(file: Path, portable: bool) -> None:
    """Write the whole database into FILE, while the portal runs. It names people: keep it as carefully."""
    from portal.operations import backups

    try:
        part = backups.create_backup(file, portable=portable)
    except (backups.BackupError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{file} is written ({part}). ENCRYPTION_KEYS and SECRET_KEY are not in it: keep them elsewhere.")


@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Put it in the place of what is there.")
@click.option("--erased", type=click.Path(exists=True, path_type=Path), help="The erased.txt of the lost host.")
@click.option("--accept", is_flag=True, help="End the overlapping times on rosters that an old backup may hold.")
def restore_command(file: Path, replace: bool, erased: Path | None, accept: bool) -> None:
    """Put a backup back, while the portal is stopped; who was erased since is erased again."""
    from portal.operations import backups

    try:
        erased_again_count = backups.restore_backup(file, replace=replace, erased=erased, accept=accept)
    except backups.BackupError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"The backup is back. {erased_again_count} learners were erased again.")


@attendance_group.command("reconcile")
def reconcile_attendance() -> None:
    """Ask Zoom's reports for every sheet that is due now."""
    from portal.jobs.worker import reconcile_due_reports

    click.echo(f"{reconcile_due_reports()} sheets looked at.")


def run_worker() -> None:
    """Run the background jobs until interrupted: for a server whose web processes have WORKER_INSIDE=false."""
    import signal
    import threading

    from portal.jobs.worker import Worker

    stop_event = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop_event.set())
    worker = Worker(current_app._get_current_object())  # type: ignore[attr-defined]  # the app itself
    worker.start()
    click.echo("The worker is running. Ctrl-C ends it.")
    stop_event.wait()
    worker.stop()


def fill_demo_school() -> None:
    """Fill the demo database with a small school (only in demo mode)."""
    from portal.demo.fill import create_demo_data

    settings = current_settings()
    if not settings.is_demo:
        raise click.ClickException("This would put made-up learners into a live database. Set SILID_MODE=demo.")
    create_demo_data(click.echo)


@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def run_sandbox(options: tuple[str, ...]) -> None:
    """Run the pretend Zoom alone (only in demo mode); see python -m portal.sandbox --help."""
    from portal.sandbox.__main__ import run_main

    settings = current_settings()
    if not settings.is_demo:
        raise click.ClickException("The pretend Zoom never runs beside a live portal. Set SILID_MODE=demo.")
    run_main(list(options))

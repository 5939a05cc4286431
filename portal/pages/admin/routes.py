"""Admin pages: overview, today's classes, audit log, option policies, and, for the region, Zoom, webhooks and mail."""

from datetime import date
from uuid import UUID

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.classes.access import can_view_learners
from portal.core import audit_log as audit
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.forms import SchoolDateField
from portal.core.mail.outbox import requeue_mail
from portal.core.settings import current_settings
from portal.meetings import messages as meeting_words
from portal.meetings import option_policies as meeting_policies
from portal.meetings.forms import PolicyForm
from portal.operations.metrics import portal_health_state
from portal.pages.admin import audit_messages, queries
from portal.pages.admin import today as admin_today
from portal.pages.admin.zoom_status import load_zoom_status as status_now
from portal.registration import messages as registration_words
from portal.webhooks.codes import DeliveryState
from portal.webhooks.models import ZoomEvent
from portal.webhooks.replay import replay_deliveries, requeue_deliveries
from portal.zoom.errors import ZoomError
from portal.zoom_account import write_block
from portal.zoom_account.client import get_zoom_client

bp = Blueprint("admin", __name__, url_prefix="/admin")
MAX_PAGES = 10_000  # an upper bound for paging back; older entries are found by search
DELIVERY_STATES = ("", *DeliveryState)


@bp.before_request
def require_admin() -> None:
    if current_user.is_authenticated and not current_user.is_admin:
        abort(403)


def _require_region() -> None:
    """404 except for the region: Zoom's deliveries and mail concern the whole installation."""
    if current_user.scope != "region":
        abort(404)


@bp.get("")
def admin_start_page() -> str:
    return show_admin_overview()


def show_admin_overview(*, at_home: bool = False) -> str:
    """The admin overview; for division and region users also the home page."""
    return render_template(
        "admin/index.html",
        at_home=at_home,
        figures=queries.count_admin_overview(current_user),
        today=admin_today.count_todays_classes(current_user),
        health=admin_today.assess_backlog_health(),
        blocked=_write_block_message(),
        configured=get_zoom_client().is_configured,
        region=current_user.scope == "region",
    )


@bp.get("/today")
def show_todays_classes() -> str:
    """The class dates counted by one figure of the overview, which `show` names."""
    kind = request.args.get("show", "live")
    if kind not in admin_today.KINDS:
        abort(404)
    rows, has_more = admin_today.list_todays_classes(current_user, kind)
    return render_template(
        "admin/today.html",
        kind=kind,
        lines=rows,
        more=has_more,
        sheets=can_view_learners(current_user),
        trouble=meeting_words.meeting_error_message,
    )


@bp.get("/audit")
def show_audit_log() -> str:
    """The audit log; searching it is itself recorded."""
    search = queries.AuditSearch(
        who=request.args.get("who", "")[:100],
        action=request.args.get("what", "")[:60],
        school_class=_parse_uuid_or_404(request.args.get("class", "")),
        section=_parse_uuid_or_404(request.args.get("section", "")),
        first=_parse_date(request.args.get("from", "")),
        last=_parse_date(request.args.get("to", "")),
    )
    sections = queries.list_sections_in_scope(current_user)
    if not queries.limit_to_scope(current_user, search):
        abort(404)
    page = max(1, min(request.args.get("page", 1, type=int) or 1, MAX_PAGES))
    entries = queries.list_audit_entries(current_user, search, page)
    audit.record_action(
        AuditAction.SEARCHED_AUDIT_LOG,
        AuditSubject.AUDIT,
        "log",
        by=current_user.id,
        found=min(len(entries), queries.PAGE_SIZE),
    )
    query = {name: value for name, value in request.args.items() if value and name != "page"}
    return render_template(
        "admin/audit.html",
        lines=entries[: queries.PAGE_SIZE],
        names=audit_messages.audit_subject_names(
            current_user._get_current_object(), [(entry.subject_type, entry.subject_id) for entry in entries]
        ),
        address=audit_messages.audit_subject_url,
        plain=audit_messages.audit_detail_lines,
        did=audit_messages.audit_action_label,
        kind_of_thing=audit_messages.audit_subject_label,
        with_ids="ids" in request.args,
        more=len(entries) > queries.PAGE_SIZE,
        page=page,
        search=search,
        sections=sections,
        query=query,
        without_ids={name: value for name, value in query.items() if name != "ids"},
    )


@bp.route("/policies", methods=["GET", "POST"])
def edit_option_policies() -> str | AnyResponse | tuple[str, int]:
    """The option policies of the admin's own scope, for all meetings below it."""
    above = meeting_policies.effective_policies(current_user.school, above=current_user.scope)
    own = meeting_policies.own_policies(current_user.scope, current_user.school)
    form = PolicyForm(data=own)
    if form.validate_on_submit():
        # Options fixed by a wider scope are not on the form; this scope's rule for them is kept.
        fixed_options = {option for option, policy in above.items() if policy.is_fixed}
        values = {
            option: form[option].data for option in meeting_policies.POLICY_OPTIONS if option not in fixed_options
        }
        kept_rules = {option: rule for option, rule in own.items() if option in fixed_options}
        meeting_policies.set_option_policies(
            current_user, kept_rules | {option: rule for option, rule in values.items() if rule}
        )
        flash(_("The rules are saved. They hold for what is scheduled or changed from now on."))
        return redirect(url_for(".edit_option_policies"))
    fields = [form[option] for option in meeting_policies.POLICY_OPTIONS]
    page = render_template("admin/policies.html", form=form, fields=fields, above=above)
    return page, 422 if form.errors else 200


@bp.get("/zoom")
def show_zoom_status() -> str:
    settings = current_settings()
    return render_template(
        "admin/zoom.html",
        status=status_now(),
        blocked=_write_block_message(),
        meeting_reason=meeting_words.meeting_error_message,
        registration_reason=lambda code: registration_words.failure_reason_message(code, settings.email_domains),
    )


@bp.post("/zoom/check")
def check_zoom_account() -> AnyResponse:
    """Check credentials and scopes at Zoom now: two short calls, with the client's own timeouts."""
    try:
        probe = get_zoom_client().probe()
    except ZoomError as error:
        flash(error.user_message, "bad")
    else:
        if probe.missing:
            flash(_("The Zoom app lacks these scopes: %(scopes)s", scopes=", ".join(sorted(probe.missing))), "bad")
        else:
            flash(_("Zoom answers, and the app may do everything the portal needs."))
        if probe.missing_optional:
            scopes = ", ".join(sorted(probe.missing_optional))
            flash(_("It would also be good to have: %(scopes)s", scopes=scopes), "warm")
    audit.record_action(AuditAction.CHECKED_ZOOM, AuditSubject.ZOOM, "account", by=current_user.id)
    return redirect(url_for(".show_zoom_status"))


@bp.get("/webhooks")
def list_webhook_deliveries() -> str:
    _require_region()
    state = request.args.get("state", "")
    state = state if state in DELIVERY_STATES else ""
    rows, counts = queries.list_webhook_deliveries(state)
    return render_template(
        "admin/webhooks.html", lines=rows, counts=counts, state=state, inbox=portal_health_state(current_app)
    )


@bp.post("/webhooks/replay")
def replay_webhooks() -> AnyResponse:
    """Requeue the failed deliveries, or the one `delivery` that the form names, whatever its state: projection is
    idempotent, so a delivery that was projected already changes nothing."""
    _require_region()
    delivery_id = request.form.get("delivery", type=int)
    count = (
        replay_deliveries((DeliveryState.FAILED,))
        if delivery_id is None
        else requeue_deliveries(ZoomEvent.id == delivery_id)
    )
    audit.record_action(
        AuditAction.REPLAYED_DELIVERIES,
        AuditSubject.DELIVERIES,
        DeliveryState.FAILED if delivery_id is None else str(delivery_id),
        by=current_user.id,
        deliveries=count,
    )
    flash(ngettext("%(num)d delivery is looked at again.", "%(num)d deliveries are looked at again.", count))
    state = request.form.get("state", "")
    return redirect(
        url_for(".list_webhook_deliveries", state=state)
        if state in DELIVERY_STATES[1:]
        else url_for(".list_webhook_deliveries")
    )


@bp.get("/mail")
def list_outbox_mail() -> str:
    _require_region()
    settings = current_settings()
    rows, counts = queries.list_outbox_mail()
    return render_template(
        "admin/mail.html",
        lines=rows,
        counts=counts,
        to_folder=not settings.mail_url,
        stuck=queries.count_resendable_mails(),
    )


@bp.post("/mail/send")
def resend_failed_mail() -> AnyResponse:
    """Requeue failed and waiting mails at once, after the mail server was repaired."""
    _require_region()
    count = requeue_mail()
    audit.record_action(AuditAction.REQUEUED_MAIL, AuditSubject.MAIL, "outbox", by=current_user.id, letters=count)
    flash(ngettext("%(num)d letter is tried again.", "%(num)d letters are tried again.", count))
    return redirect(url_for(".list_outbox_mail"))


def _write_block_message() -> str:
    block = write_block.current_write_block()
    return meeting_words.write_block_message(block.reason, block.detail) if block else ""


def _parse_uuid_or_404(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        abort(404)


def _parse_date(text: str) -> date | None:
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        return None
    return day if day and day.year in SchoolDateField.YEARS else None

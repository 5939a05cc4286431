"""Signing in with Google or Microsoft, asking for an account with one of them, and connecting one to an account.

Whoever is refused sees one and the same page, whatever the reason: the log of who did what has it.
"""

import json
from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

from flask import abort, current_app, flash, redirect, render_template, request, session, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user

from portal.accounts.forms import CurrentPasswordForm, SsoAccountRequestForm
from portal.accounts.profile.routes import check_current_password, current_user_account
from portal.accounts.sign_in import lockout
from portal.accounts.sign_in.next_url import safe_next_url
from portal.accounts.sign_in.routes import (
    Answer,
    _wait,
    bp,
    continue_sign_in,
)
from portal.accounts.sso import identities, service
from portal.accounts.sso.identities import UnknownIdentity
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.crypto import DecryptionError, decrypt_for_row, encrypt_for_row
from portal.oidc.errors import LoginRefused, ProviderUnavailable
from portal.oidc.provider import OidcProvider
from portal.web import mark_endpoint_public

VERIFIED_IDENTITY_KEY = "newcomer"  # in the browser's session, sealed: for whom the provider has vouched
VERIFIED_IDENTITY_LIFETIME = timedelta(minutes=30)
REAUTHENTICATED_UNTIL_KEY = "proven until"  # in the session: until when the person may connect and disconnect
REAUTHENTICATION_LIFETIME = timedelta(minutes=5)
CANCELLED_BY_USER = "given up there"  # the person went back: no failed try
_PROVIDERS = "<any(google, microsoft):provider>"


@bp.get(f"/sign-in/{_PROVIDERS}")
@mark_endpoint_public
def start_sso_sign_in(provider: str) -> Answer:
    """A plain link: a form may not lead to another host."""
    there = _provider_or_404(provider)
    if current_user.is_authenticated:
        return redirect(url_for("pages.show_home_page"))
    try:
        lockout.check_client_limit()
        return redirect(service.start_sso_attempt(there, target=safe_next_url(request.args.get("next"), "")), code=303)
    except lockout.TooManyAttempts as wait:
        return _wait(wait)
    except ProviderUnavailable as trouble:
        return _unavailable(there, trouble)


@bp.get(f"/sign-in/{_PROVIDERS}/back")
@mark_endpoint_public
def handle_sso_callback(provider: str) -> Answer:
    """Where Google or Microsoft send the browser back to."""
    there = _provider_or_404(provider)
    try:
        lockout.check_client_limit()
        return _handle_callback(there)
    except lockout.TooManyAttempts as wait:
        return _wait(wait)
    except ProviderUnavailable as trouble:
        return _unavailable(there, trouble)
    except LoginRefused as no:
        return _refused(there, no)


def _handle_callback(there: OidcProvider) -> Answer:
    trip = service.pop_sso_attempt(there, request.args.get("state", ""))
    if request.args.get("iss", there.issuer) != there.issuer:  # RFC 9207
        raise LoginRefused("iss of the answer")
    if request.args.get("error"):
        raise LoginRefused(CANCELLED_BY_USER if request.args["error"] == "access_denied" else "error there")
    external_user = service.fetch_external_user(there, trip, request.args.get("code", ""))
    if trip.user_id or current_user.is_authenticated:
        if not current_user.is_authenticated or current_user.id != trip.user_id:
            raise LoginRefused("another session")
        identities.link_external_identity(current_user_account(), external_user)
        flash(_("Connected: you can now sign in with %(provider)s.", provider=there.label))
        return redirect(url_for(".show_linked_identities"))
    who = identities.user_for_identity(external_user)
    if not isinstance(who, UnknownIdentity):
        return continue_sign_in(who, remember=False, target=trip.target)
    _remember(who, asked=identities.has_pending_request(who))
    return redirect(url_for(".request_account_after_sso"))


@bp.route("/ask-for-account/checked", methods=["GET", "POST"])
@mark_endpoint_public
def request_account_after_sso() -> Answer:
    """The rest of what an admin wants to know of somebody whose address is known to be theirs."""
    try:
        kept = json.loads(decrypt_for_row(session.get(VERIFIED_IDENTITY_KEY, ""), VERIFIED_IDENTITY_KEY))
    except DecryptionError:
        return redirect(url_for(".sign_in"))
    if current_user.is_authenticated or kept["until"] < clock.now().timestamp():
        return redirect(url_for(".sign_in"))
    new = UnknownIdentity(**kept["who"])
    if kept["asked"]:
        return render_template("accounts/asked.html")
    form = SsoAccountRequestForm(full_name=new.name)
    if form.validate_on_submit():
        try:
            if identities.request_account_for_identity(
                new, form.full_name.data or "", form.school.data or "", str(get_locale() or "en")
            ):
                _remember(new, asked=True)
                return redirect(url_for(".request_account_after_sso"))
            form.school.errors = [_("No school here has this ID. Look at it again, or ask your school head.")]
        except LoginRefused:
            session.pop(VERIFIED_IDENTITY_KEY)  # an account with this address was made in the meantime
            return render_template("accounts/elsewhere_refused.html"), 403
    page = render_template("accounts/ask_as_newcomer.html", form=form, address=new.address)
    return page, 422 if form.is_submitted() else 200


@bp.route("/settings/ways-in", methods=["GET", "POST"])
def show_linked_identities() -> Answer:
    """With what a person signs in besides their password; to change it they first write that."""
    form = CurrentPasswordForm()
    try:
        if form.validate_on_submit() and check_current_password(form.current):
            session[REAUTHENTICATED_UNTIL_KEY] = (clock.now() + REAUTHENTICATION_LIFETIME).timestamp()
            return redirect(url_for(".show_linked_identities"))
    except lockout.TooManyAttempts as wait:
        return _wait(wait)
    labels = {there.issuer: there.label for there in service.list_configured_providers()}
    connected = identities.identities_of_user(current_user_account())
    has = {one.issuer for one in connected}
    page = render_template(
        "accounts/ways_in.html",
        form=form,
        may_change=_password_given(),
        providers=[there for there in service.list_configured_providers() if there.issuer not in has],
        connected=[(one, labels.get(one.issuer, one.issuer)) for one in connected],
    )
    return page, 422 if form.is_submitted() else 200


@bp.get("/settings/ways-in/connect")
def link_own_identity() -> Answer:
    """A plain link again, which changes nothing by itself."""
    there = _provider_or_404(request.args.get("provider", ""))
    if not _password_given():
        return redirect(url_for(".show_linked_identities"))
    try:
        return redirect(service.start_sso_attempt(there, user=current_user_account()), code=303)
    except ProviderUnavailable as trouble:
        return _unavailable(there, trouble)


@bp.post("/settings/ways-in/<uuid:identity_id>/end")
def unlink_own_identity(identity_id: UUID) -> Answer:
    if not _password_given():
        flash(_("Write your password first."), "bad")
    elif identities.unlink_external_identity(current_user_account(), identity_id):
        flash(_("Disconnected."))
    else:
        abort(404)
    return redirect(url_for(".show_linked_identities"))


def _remember(new: UnknownIdentity, *, asked: bool) -> None:
    until = (clock.now() + VERIFIED_IDENTITY_LIFETIME).timestamp()
    session[VERIFIED_IDENTITY_KEY] = encrypt_for_row(
        json.dumps({"until": until, "asked": asked, "who": asdict(new)}), VERIFIED_IDENTITY_KEY
    )


def _password_given() -> bool:
    until: float = session.get(REAUTHENTICATED_UNTIL_KEY, 0)
    return until > clock.now().timestamp()


def _provider_or_404(name: str) -> OidcProvider:
    return service.get_sso_provider(name) or abort(404)


def _refused(there: OidcProvider, no: LoginRefused) -> Answer:
    if no.reason != CANCELLED_BY_USER:
        lockout.record_sign_in_failure(None)
    by = current_user.id if current_user.is_authenticated else None
    place = lockout.current_client_hash()
    audit_log.record_action(
        AuditAction.REFUSED_SIGN_IN, AuditSubject.PROVIDER, there.name, by=by, reason=no.reason, place=place
    )
    return render_template("accounts/elsewhere_refused.html"), 403


def _unavailable(there: OidcProvider, trouble: ProviderUnavailable) -> Answer:
    current_app.logger.warning("sign-in with %s: %s", there.name, trouble)
    return render_template("accounts/elsewhere_down.html", provider=there.label), 503

"""Pages of single sign-on with Google or Microsoft: sign in, request an account, link and unlink identities.

Every refusal shows the same page; the reason is in the audit log.
"""

import json
from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, session, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user

from portal.accounts.forms import CurrentPasswordForm, SsoAccountRequestForm
from portal.accounts.profile.routes import check_current_password, current_user_account
from portal.accounts.sign_in import lockout
from portal.accounts.sign_in.next_url import safe_next_url
from portal.accounts.sign_in.routes import (
    Answer,
    continue_sign_in,
    render_too_many_attempts,
)
from portal.accounts.sso import identities, service
from portal.accounts.sso.identities import UnknownIdentity
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.crypto import DecryptionError, decrypt_for_row, encrypt_for_row
from portal.oidc.errors import LoginRefused, ProviderUnavailable
from portal.oidc.provider import OidcProvider
from portal.web import mark_endpoint_public

VERIFIED_IDENTITY_KEY = "verified_identity"  # session key of the verified identity, encrypted
VERIFIED_IDENTITY_LIFETIME = timedelta(minutes=30)
REAUTHENTICATED_UNTIL_KEY = "reauthenticated_until"  # session key: until when identities may be linked and unlinked
REAUTHENTICATION_LIFETIME = timedelta(minutes=5)
CANCELLED_BY_USER = "given up there"  # the user cancelled at the provider; not counted as a failure
bp = Blueprint("sso", __name__)
_PROVIDERS = "<any(google, microsoft):provider>"


@bp.get(f"/sign-in/{_PROVIDERS}")
@mark_endpoint_public
def start_sso_sign_in(provider: str) -> Answer:
    """Redirect to the provider. GET, since the CSP forbids forms that lead to another host."""
    oidc_provider = _provider_or_404(provider)
    if current_user.is_authenticated:
        return redirect(url_for("home.show_home_page"))
    try:
        lockout.check_client_limit()
        return redirect(
            service.start_sso_attempt(oidc_provider, target=safe_next_url(request.args.get("next"), "")), code=303
        )
    except lockout.TooManyAttempts as error:
        return render_too_many_attempts(error)
    except ProviderUnavailable as error:
        return _render_unavailable(oidc_provider, error)


@bp.get(f"/sign-in/{_PROVIDERS}/back")
@mark_endpoint_public
def handle_sso_callback(provider: str) -> Answer:
    """The redirect URI: the provider sends the browser back here."""
    oidc_provider = _provider_or_404(provider)
    try:
        lockout.check_client_limit()
        return _handle_callback(oidc_provider)
    except lockout.TooManyAttempts as error:
        return render_too_many_attempts(error)
    except ProviderUnavailable as error:
        return _render_unavailable(oidc_provider, error)
    except LoginRefused as error:
        return _render_refused(oidc_provider, error)


def _handle_callback(provider: OidcProvider) -> Answer:
    attempt = service.pop_sso_attempt(provider, request.args.get("state", ""))
    if request.args.get("iss", provider.issuer) != provider.issuer:  # RFC 9207
        raise LoginRefused("iss of the answer")
    if request.args.get("error"):
        raise LoginRefused(CANCELLED_BY_USER if request.args["error"] == "access_denied" else "error there")
    external_user = service.fetch_external_user(provider, attempt, request.args.get("code", ""))
    if attempt.user_id or current_user.is_authenticated:
        if not current_user.is_authenticated or current_user.id != attempt.user_id:
            raise LoginRefused("another session")
        identities.link_external_identity(current_user_account(), external_user)
        flash(_("Connected: you can now sign in with %(provider)s.", provider=provider.label))
        return redirect(url_for(".show_linked_identities"))
    user = identities.user_for_identity(external_user)
    if not isinstance(user, UnknownIdentity):
        return continue_sign_in(user, remember=False, target=attempt.target)
    _store_verified_identity(user, has_requested=identities.has_pending_request(user))
    return redirect(url_for(".request_account_after_sso"))


@bp.route("/ask-for-account/checked", methods=["GET", "POST"])
@mark_endpoint_public
def request_account_after_sso() -> Answer:
    """Request an account for a verified address: the rest of what the admin needs to know."""
    try:
        stored = json.loads(decrypt_for_row(session.get(VERIFIED_IDENTITY_KEY, ""), VERIFIED_IDENTITY_KEY))
    except DecryptionError:
        return redirect(url_for("accounts.sign_in"))
    if current_user.is_authenticated or stored["until"] < clock.now().timestamp():
        return redirect(url_for("accounts.sign_in"))
    identity = UnknownIdentity(**stored["who"])
    if stored["asked"]:
        return render_template("accounts/asked.html")
    form = SsoAccountRequestForm(full_name=identity.name)
    if form.validate_on_submit():
        try:
            if identities.request_account_for_identity(
                identity, form.full_name.data or "", form.school.data or "", str(get_locale() or "en")
            ):
                _store_verified_identity(identity, has_requested=True)
                return redirect(url_for(".request_account_after_sso"))
            form.school.errors = [_("No school here has this ID. Look at it again, or ask your school head.")]
        except LoginRefused:
            session.pop(VERIFIED_IDENTITY_KEY)  # an account with this address was created meanwhile
            return render_template("accounts/elsewhere_refused.html"), 403
    page = render_template("accounts/ask_as_newcomer.html", form=form, address=identity.address)
    return page, 422 if form.is_submitted() else 200


@bp.route("/settings/ways-in", methods=["GET", "POST"])
def show_linked_identities() -> Answer:
    """List linked identities; changing them needs the password first."""
    form = CurrentPasswordForm()
    try:
        if form.validate_on_submit() and check_current_password(form.current):
            session[REAUTHENTICATED_UNTIL_KEY] = (clock.now() + REAUTHENTICATION_LIFETIME).timestamp()
            return redirect(url_for(".show_linked_identities"))
    except lockout.TooManyAttempts as error:
        return render_too_many_attempts(error)
    labels = {provider.issuer: provider.label for provider in service.list_configured_providers()}
    connected = identities.identities_of_user(current_user_account())
    linked_issuers = {identity.issuer for identity in connected}
    page = render_template(
        "accounts/ways_in.html",
        form=form,
        may_change=_is_reauthenticated(),
        providers=[
            provider for provider in service.list_configured_providers() if provider.issuer not in linked_issuers
        ],
        connected=[(identity, labels.get(identity.issuer, identity.issuer)) for identity in connected],
    )
    return page, 422 if form.is_submitted() else 200


@bp.get("/settings/ways-in/connect")
def link_own_identity() -> Answer:
    """Redirect to the provider to link an identity. GET, as it changes nothing by itself."""
    provider = _provider_or_404(request.args.get("provider", ""))
    if not _is_reauthenticated():
        return redirect(url_for(".show_linked_identities"))
    try:
        return redirect(service.start_sso_attempt(provider, user=current_user_account()), code=303)
    except ProviderUnavailable as error:
        return _render_unavailable(provider, error)


@bp.post("/settings/ways-in/<uuid:identity_id>/end")
def unlink_own_identity(identity_id: UUID) -> Answer:
    """Unlink one of the user's identities."""
    if not _is_reauthenticated():
        flash(_("Write your password first."), "bad")
    elif identities.unlink_external_identity(current_user_account(), identity_id):
        flash(_("Disconnected."))
    else:
        abort(404)
    return redirect(url_for(".show_linked_identities"))


def _store_verified_identity(identity: UnknownIdentity, *, has_requested: bool) -> None:
    expires_at = (clock.now() + VERIFIED_IDENTITY_LIFETIME).timestamp()
    session[VERIFIED_IDENTITY_KEY] = encrypt_for_row(
        json.dumps({"until": expires_at, "asked": has_requested, "who": asdict(identity)}), VERIFIED_IDENTITY_KEY
    )


def _is_reauthenticated() -> bool:
    valid_until: float = session.get(REAUTHENTICATED_UNTIL_KEY, 0)
    return valid_until > clock.now().timestamp()


def _provider_or_404(name: str) -> OidcProvider:
    return service.get_sso_provider(name) or abort(404)


def _render_refused(provider: OidcProvider, error: LoginRefused) -> Answer:
    if error.reason != CANCELLED_BY_USER:
        lockout.record_sign_in_failure(None)
    by = current_user.id if current_user.is_authenticated else None
    client_hash = lockout.current_client_hash()
    audit_log.record_action(
        AuditAction.REFUSED_SIGN_IN, AuditSubject.PROVIDER, provider.name, by=by, reason=error.reason, place=client_hash
    )
    return render_template("accounts/elsewhere_refused.html"), 403


def _render_unavailable(provider: OidcProvider, error: ProviderUnavailable) -> Answer:
    current_app.logger.warning("sign-in with %s: %s", provider.name, error)
    return render_template("accounts/elsewhere_down.html", provider=provider.label), 503

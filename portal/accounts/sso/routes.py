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

from portal.accounts.forms import CurrentPasswordForm, NewcomerForm
from portal.accounts.profile.routes import is_me, me
from portal.accounts.sign_in import lockout
from portal.accounts.sign_in.next_url import safe_next
from portal.accounts.sign_in.routes import (
    Answer,
    _wait,
    bp,
    go_on,
)
from portal.accounts.sso import identities, service
from portal.accounts.sso.identities import Newcomer
from portal.core import audit_log, clock
from portal.core.crypto import SealBroken, seal, unseal
from portal.oidc.errors import Refused, Unavailable
from portal.oidc.provider import Provider
from portal.web import public

NEWCOMER = "newcomer"  # in the browser's session, sealed: for whom the provider has vouched
NEWCOMER_FOR = timedelta(minutes=30)
PROVEN = "proven until"  # in the session: until when the person may connect and disconnect
PROVEN_FOR = timedelta(minutes=5)
GAVE_UP = "given up there"  # the person went back: no failed try
_PROVIDERS = "<any(google, microsoft):provider>"


@bp.get(f"/sign-in/{_PROVIDERS}")
@public
def go_elsewhere(provider: str) -> Answer:
    """A plain link: a form may not lead to another host."""
    there = _provider_or_404(provider)
    if current_user.is_authenticated:
        return redirect(url_for("pages.home"))
    try:
        lockout.check_place()
        return redirect(service.begin(there, target=safe_next(request.args.get("next"), "")), code=303)
    except lockout.TooMany as wait:
        return _wait(wait)
    except Unavailable as trouble:
        return _unavailable(there, trouble)


@bp.get(f"/sign-in/{_PROVIDERS}/back")
@public
def back_from_elsewhere(provider: str) -> Answer:
    """Where Google or Microsoft send the browser back to."""
    there = _provider_or_404(provider)
    try:
        lockout.check_place()
        return _arrived(there)
    except lockout.TooMany as wait:
        return _wait(wait)
    except Unavailable as trouble:
        return _unavailable(there, trouble)
    except Refused as no:
        return _refused(there, no)


def _arrived(there: Provider) -> Answer:
    trip = service.come_back(there, request.args.get("state", ""))
    if request.args.get("iss", there.issuer) != there.issuer:  # RFC 9207
        raise Refused("iss of the answer")
    if request.args.get("error"):
        raise Refused(GAVE_UP if request.args["error"] == "access_denied" else "error there")
    found = service.ask(there, trip, request.args.get("code", ""))
    if trip.user_id or current_user.is_authenticated:
        if not current_user.is_authenticated or current_user.id != trip.user_id:
            raise Refused("another session")
        identities.connect(me(), found)
        flash(_("Connected: you can now sign in with %(provider)s.", provider=there.label))
        return redirect(url_for(".ways_in"))
    who = identities.user_of(found)
    if not isinstance(who, Newcomer):
        return go_on(who, remember=False, target=trip.target)
    _remember(who, asked=identities.has_asked(who))
    return redirect(url_for(".ask_as_newcomer"))


@bp.route("/ask-for-account/checked", methods=["GET", "POST"])
@public
def ask_as_newcomer() -> Answer:
    """The rest of what an admin wants to know of somebody whose address is known to be theirs."""
    try:
        kept = json.loads(unseal(session.get(NEWCOMER, ""), NEWCOMER))
    except SealBroken:
        return redirect(url_for(".sign_in"))
    if current_user.is_authenticated or kept["until"] < clock.now().timestamp():
        return redirect(url_for(".sign_in"))
    new = Newcomer(**kept["who"])
    if kept["asked"]:
        return render_template("accounts/asked.html")
    form = NewcomerForm(full_name=new.name)
    if form.validate_on_submit():
        try:
            if identities.ask(new, form.full_name.data or "", form.school.data or "", str(get_locale() or "en")):
                _remember(new, asked=True)
                return redirect(url_for(".ask_as_newcomer"))
            form.school.errors = [_("No school here has this ID. Look at it again, or ask your school head.")]
        except Refused:
            session.pop(NEWCOMER)  # an account with this address was made in the meantime
            return render_template("accounts/elsewhere_refused.html"), 403
    page = render_template("accounts/ask_as_newcomer.html", form=form, address=new.address)
    return page, 422 if form.is_submitted() else 200


@bp.route("/settings/ways-in", methods=["GET", "POST"])
def ways_in() -> Answer:
    """With what a person signs in besides their password; to change it they first write that."""
    form = CurrentPasswordForm()
    try:
        if form.validate_on_submit() and is_me(form.current):
            session[PROVEN] = (clock.now() + PROVEN_FOR).timestamp()
            return redirect(url_for(".ways_in"))
    except lockout.TooMany as wait:
        return _wait(wait)
    labels = {there.issuer: there.label for there in service.providers()}
    connected = identities.of(me())
    has = {one.issuer for one in connected}
    page = render_template(
        "accounts/ways_in.html",
        form=form,
        may_change=_password_given(),
        providers=[there for there in service.providers() if there.issuer not in has],
        connected=[(one, labels.get(one.issuer, one.issuer)) for one in connected],
    )
    return page, 422 if form.is_submitted() else 200


@bp.get("/settings/ways-in/connect")
def connect_elsewhere() -> Answer:
    """A plain link again, which changes nothing by itself."""
    there = _provider_or_404(request.args.get("provider", ""))
    if not _password_given():
        return redirect(url_for(".ways_in"))
    try:
        return redirect(service.begin(there, user=me()), code=303)
    except Unavailable as trouble:
        return _unavailable(there, trouble)


@bp.post("/settings/ways-in/<uuid:identity_id>/end")
def disconnect_elsewhere(identity_id: UUID) -> Answer:
    if not _password_given():
        flash(_("Write your password first."), "bad")
    elif identities.disconnect(me(), identity_id):
        flash(_("Disconnected."))
    else:
        abort(404)
    return redirect(url_for(".ways_in"))


def _remember(new: Newcomer, *, asked: bool) -> None:
    until = (clock.now() + NEWCOMER_FOR).timestamp()
    session[NEWCOMER] = seal(json.dumps({"until": until, "asked": asked, "who": asdict(new)}), NEWCOMER)


def _password_given() -> bool:
    until: float = session.get(PROVEN, 0)
    return until > clock.now().timestamp()


def _provider_or_404(name: str) -> Provider:
    return service.provider(name) or abort(404)


def _refused(there: Provider, no: Refused) -> Answer:
    if no.reason != GAVE_UP:
        lockout.failed(None)
    by = current_user.id if current_user.is_authenticated else None
    place = lockout.place()
    audit_log.record("refused a sign-in", "provider", there.name, by=by, reason=no.reason, place=place)
    return render_template("accounts/elsewhere_refused.html"), 403


def _unavailable(there: Provider, trouble: Unavailable) -> Answer:
    current_app.logger.warning("sign-in with %s: %s", there.name, trouble)
    return render_template("accounts/elsewhere_down.html", provider=there.label), 503

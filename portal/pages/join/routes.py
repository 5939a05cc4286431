"""What learners open, without an account: `/join/<token>`."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from portal.core.client_hash import hash_client_ip
from portal.pages.join import link_preview_bots, sdk, state
from portal.registration import join_links
from portal.registration.join_links import JoinLink
from portal.web import mark_endpoint_public
from portal.web.rate_limits import MISS_LIMIT, is_not_found_response, limiter

bp = Blueprint("join", __name__)


def _is_good() -> bool:
    return join_links.is_valid_token((request.view_args or {}).get("token", ""))


@bp.get("/join/<token>")
@limiter.limit(MISS_LIMIT, deduct_when=is_not_found_response, exempt_when=_is_good)
@mark_endpoint_public
def show_join_page(token: str) -> Response:
    """The door of a class: open, not yet, over, cancelled, or why not. Opening it changes nothing."""
    link = join_links.find_join_link(token)
    if link is None:
        return _quiet(render_template("join/unknown.html"), 404)
    return _quiet(_door(link, token))


def _door(link: JoinLink, token: str) -> str:
    door = state.join_state_of(link)
    inside = sdk.is_sdk_configured() and sdk.sdk_join_config(link, door) is not None
    return render_template("join/join.html", link=link, token=token, door=door, inside=inside)


@bp.get("/join/<token>/go")
@limiter.limit(MISS_LIMIT, deduct_when=is_not_found_response, exempt_when=_is_good)
@mark_endpoint_public
def redirect_to_zoom(token: str) -> AnyResponse:
    """On to Zoom, by the learner's own registration; back to the door where that is not possible now.

    What a chat sends ahead to draw a preview is no learner: it sees the door, and does not count as a use.
    """
    link = join_links.find_join_link(token)
    if link is None:
        return _quiet(render_template("join/unknown.html"), 404)
    door = state.join_state_of(link)
    if door.url is None or door.occurrence_id is None:
        return redirect(url_for(".show_join_page", token=token))
    if link_preview_bots.is_link_preview_bot(request):
        return redirect(url_for(".show_join_page", token=token))
    if not link_preview_bots.is_prefetch_request(request):
        join_links.record_link_use(link, door.occurrence_id, hash_client_ip(request.remote_addr))
    response = redirect(door.url)
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@bp.get("/join/<token>/here")
@limiter.limit(MISS_LIMIT, deduct_when=is_not_found_response, exempt_when=_is_good)
@mark_endpoint_public
def join_in_browser(token: str) -> AnyResponse:
    """The meeting inside this page, by Zoom's Meeting SDK; there is no such page without the SDK's keys.

    It alone may load anything from Zoom, and it has a policy of its own.
    """
    link = join_links.find_join_link(token) if sdk.is_sdk_configured() else None
    if link is None:
        return _quiet(render_template("join/unknown.html"), 404)
    door = state.join_state_of(link)
    entry = sdk.sdk_join_config(link, door)
    if entry is None or door.occurrence_id is None or link_preview_bots.is_link_preview_bot(request):
        return redirect(url_for(".show_join_page", token=token))
    if not link_preview_bots.is_prefetch_request(request):
        join_links.record_link_use(link, door.occurrence_id, hash_client_ip(request.remote_addr))
    back = state.join_page_url(token)
    response = _quiet(render_template("join/here.html", link=link, token=token, entry=entry, back=back))
    for name, value in sdk.HEADERS.items():
        response.headers[name] = value
    return response


def _quiet(page: str, status: int = 200) -> Response:
    response = make_response(page, status)
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response

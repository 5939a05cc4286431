"""Public pages of join links, for learners without an account: `/join/<token>`."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from portal.core.client_hash import hash_client_ip
from portal.extensions import limiter
from portal.pages.join import link_preview_bots, sdk, state
from portal.registration import join_links
from portal.registration.join_links import JoinLink
from portal.web import mark_endpoint_public
from portal.web.rate_limits import MISS_LIMIT, is_not_found_response

bp = Blueprint("join", __name__)


def _has_valid_token() -> bool:
    return join_links.is_valid_token((request.view_args or {}).get("token", ""))


@bp.get("/join/<token>")
@limiter.limit(MISS_LIMIT, deduct_when=is_not_found_response, exempt_when=_has_valid_token)
@mark_endpoint_public
def show_join_page(token: str) -> Response:
    """The join page of a class: open, early, over, cancelled, or why it cannot be joined. A GET changes nothing."""
    link = join_links.find_join_link(token)
    if link is None:
        return _noindex_response(render_template("join/unknown.html"), 404)
    return _noindex_response(_render_join_page(link, token))


def _render_join_page(link: JoinLink, token: str) -> str:
    join_state = state.join_state_of(link)
    can_embed = sdk.is_sdk_configured() and sdk.sdk_join_config(link, join_state) is not None
    return render_template("join/join.html", link=link, token=token, door=join_state, inside=can_embed)


@bp.get("/join/<token>/go")
@limiter.limit(MISS_LIMIT, deduct_when=is_not_found_response, exempt_when=_has_valid_token)
@mark_endpoint_public
def redirect_to_zoom(token: str) -> AnyResponse:
    """Redirect to Zoom with the learner's own registration, or back to the join page if joining is not possible now.

    A link-preview bot is redirected to the join page, and is not recorded as a use.
    """
    link = join_links.find_join_link(token)
    if link is None:
        return _noindex_response(render_template("join/unknown.html"), 404)
    join_state = state.join_state_of(link)
    if join_state.url is None or join_state.occurrence_id is None:
        return redirect(url_for(".show_join_page", token=token))
    if link_preview_bots.is_link_preview_bot(request):
        return redirect(url_for(".show_join_page", token=token))
    if not link_preview_bots.is_prefetch_request(request):
        join_links.record_link_use(link, join_state.occurrence_id, hash_client_ip(request.remote_addr))
    response = redirect(join_state.url)
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@bp.get("/join/<token>/here")
@limiter.limit(MISS_LIMIT, deduct_when=is_not_found_response, exempt_when=_has_valid_token)
@mark_endpoint_public
def join_in_browser(token: str) -> AnyResponse:
    """The meeting embedded in the page by Zoom's Meeting SDK; redirects without the SDK's keys.

    The only page that may load anything from Zoom, with a Content-Security-Policy of its own.
    """
    link = join_links.find_join_link(token) if sdk.is_sdk_configured() else None
    if link is None:
        return _noindex_response(render_template("join/unknown.html"), 404)
    join_state = state.join_state_of(link)
    sdk_config = sdk.sdk_join_config(link, join_state)
    if sdk_config is None or join_state.occurrence_id is None or link_preview_bots.is_link_preview_bot(request):
        return redirect(url_for(".show_join_page", token=token))
    if not link_preview_bots.is_prefetch_request(request):
        join_links.record_link_use(link, join_state.occurrence_id, hash_client_ip(request.remote_addr))
    back = state.join_page_url(token)
    response = _noindex_response(render_template("join/here.html", link=link, token=token, entry=sdk_config, back=back))
    for name, value in sdk.HEADERS.items():
        response.headers[name] = value
    return response


def _noindex_response(page: str, status: int = 200) -> Response:
    response = make_response(page, status)
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response

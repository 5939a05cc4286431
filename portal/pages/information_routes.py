"""The privacy notice and the help page, for everybody."""

from flask import Blueprint, render_template

from portal.web import mark_endpoint_public

bp = Blueprint("information", __name__)


@bp.get("/privacy")
@mark_endpoint_public
def show_privacy_notice() -> str:
    return render_template("pages/privacy.html")


@bp.get("/help")
@mark_endpoint_public
def show_help_page() -> str:
    return render_template("pages/help.html")

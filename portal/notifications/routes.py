"""`/notifications`: a user's notifications, with links to their pages, and the preferences."""

from collections.abc import Collection
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.notifications import messages, preferences, queries
from portal.notifications.codes import Channel, NotificationKind

bp = Blueprint("notifications", __name__)


@bp.get("/notifications")
def show_notifications() -> str:
    page = max(1, min(request.args.get("page", 1, type=int) or 1, 1000))
    rows, more = queries.list_notifications(current_user, page)
    return render_template("notifications/index.html", rows=rows, more=more, page=page, words=messages)


@bp.post("/notifications/<uuid:notification_id>/open")
def open_notification(notification_id: UUID) -> AnyResponse:
    """Mark one as read, and redirect to its page."""
    notification = queries.get_notification(current_user, notification_id) or abort(404)
    preferences.mark_notifications_read(current_user, notification.id)
    return redirect(messages.notification_target_url(notification))


@bp.post("/notifications/<uuid:notification_id>/read")
def mark_notification_read(notification_id: UUID) -> AnyResponse:
    notification = queries.get_notification(current_user, notification_id) or abort(404)
    preferences.mark_notifications_read(current_user, notification.id)
    return redirect(url_for(".show_notifications"))


@bp.post("/notifications/read")
def mark_all_read() -> AnyResponse:
    preferences.mark_notifications_read(current_user)
    flash(_("Everything is marked as read."))
    return redirect(url_for(".show_notifications"))


@bp.get("/settings/notifications")
def show_notification_settings() -> str:
    off = queries.opt_outs_of(current_user)
    return render_template(
        "notifications/settings.html",
        kinds=list(NotificationKind),
        off=off,
        kind_words=messages.notification_kind_label,
    )


@bp.post("/settings/notifications")
def save_notification_settings() -> AnyResponse:
    kinds_by_channel: dict[str, Collection[str]] = {channel: request.form.getlist(channel) for channel in Channel}
    preferences.save_notification_preferences(current_user, kinds_by_channel)
    flash(_("Saved."))
    return redirect(url_for(".show_notification_settings"))

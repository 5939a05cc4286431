"""Page to invite many users from a CSV, on the blueprint of `users`."""

from flask import Response, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_login import current_user
from flask_wtf.file import FileField
from wtforms import TextAreaField
from wtforms.validators import Length

from portal.accounts.users import csv_import, service
from portal.accounts.users.routes import Answer, bp
from portal.config import Settings
from portal.core import csv_tables
from portal.core.forms import FileOrTextMixin, PortalForm


class UsersFileForm(FileOrTextMixin, PortalForm):
    file = FileField(
        _l("CSV file"),
        description=_l("With the columns email, name, role, scope and school id."),
        render_kw={"accept": ".csv,.tsv,.txt"},
    )
    pasted = TextAreaField(_l("Paste the rows"), [Length(max=100_000)], render_kw={"rows": 4})


@bp.route("/import", methods=["GET", "POST"])
def import_users_csv() -> Answer:
    """Preview the rows with their problems, then invite all. The file itself is not stored."""
    form = UsersFileForm()
    rows: list[csv_import.UserImportRow] = []
    text = ""
    if form.validate_on_submit():
        try:
            # the page shows the text, so that it can be corrected there
            text = form.pasted.data = csv_tables.decode_text(form.content())
            rows = csv_import.parse_users_csv(current_user, text.encode())
        except csv_tables.CsvError as error:
            form.file.errors = [csv_tables.csv_error_message(error)]
        if rows and "save" in request.form and all(row.invitation for row in rows):
            try:
                return _show_invited(csv_import.invite_parsed_users(current_user, rows))
            except service.UserChangeRefused:
                form.form_errors.append(
                    _("Somebody else invited one of them just now. Nobody was invited; look again.")
                )
                rows = csv_import.parse_users_csv(current_user, text.encode())
    has_problems = bool(form.errors) or not all(row.invitation for row in rows)
    page = render_template("accounts/import.html", form=form, rows=rows, text=text)
    return page, 422 if form.is_submitted() and has_problems else 200


def _show_invited(rows: list[tuple[service.User, str]]) -> Answer:
    settings: Settings = current_app.extensions["silid.settings"]
    if not settings.mail_url:
        return render_template("accounts/hand_over_many.html", made=rows)
    flash(ngettext("%(num)d invitation is on its way.", "%(num)d invitations are on their way.", len(rows)))
    return redirect(url_for(".list_users"))


@bp.get("/import/template.csv")
def users_import_template() -> Response:
    """The empty CSV template."""
    return Response(
        csv_import.TEMPLATE.encode("utf-8-sig"),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="people.csv"'},
    )

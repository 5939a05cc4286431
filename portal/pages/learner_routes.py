"""The page of one learner: enrolments, attendance, and registrations for upcoming classes; and merging duplicates."""

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms.fields.choices import SelectChoice

from portal.classes import access
from portal.classes import queries as class_queries
from portal.classes.learners.forms import MergeForm
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.settings import current_settings
from portal.privacy import merge_learners
from portal.registration import messages as registration_words
from portal.registration import queries as registration_queries
from portal.registration.desired_registrants import learner_registration_email
from portal.reports.learner_attendance import load_learner_attendance

bp = Blueprint("learner_page", __name__)


@bp.get("/classes/sections/<uuid:section_id>/learners/<uuid:learner_id>")
def show_learner(section_id: UUID, learner_id: UUID) -> str:
    section, learner = access.learner_or_404(section_id, learner_id)
    audit_log.record_view(
        AuditAction.VIEWED, AuditSubject.LEARNER, learner.id, by=current_user.id, section_id=section.id
    )
    periods = class_queries.list_enrolment_periods(learner.id)
    today = clock.today()
    current_period = next(
        (period for period in periods if period.from_date <= today <= (period.until_date or today)), None
    )
    is_on_roster = current_period is not None and current_period.section_id == section.id
    settings = current_settings()
    return render_template(
        "classes/learner.html",
        section=section,
        learner=learner,
        times=periods,
        now_in=current_period,
        on_roster=is_on_roster,
        governed=access.can_manage_section(section) and not section.is_past,
        address=learner_registration_email(learner.lrn, learner.email, settings.email_domains),
        coming=registration_queries.list_upcoming_registrations(learner.id, section.id) if is_on_roster else [],
        attendance=load_learner_attendance(current_user, learner.id, section.school_year),
        why=lambda code: registration_words.failure_reason_message(code, settings.email_domains),
    )


@bp.route("/classes/sections/<uuid:section_id>/learners/<uuid:learner_id>/merge", methods=["GET", "POST"])
def merge_learner(section_id: UUID, learner_id: UUID) -> str | Response | tuple[str, int]:
    """Merge another record of the same learner into this one, which stays."""
    section, learner = access.learner_or_404(section_id, learner_id, govern=True)
    if section.is_past:
        flash(_("The school year %(year)s is over: its rosters can only be read.", year=section.school_year), "bad")
        return redirect(url_for("classes.show_section", section_id=section.id))
    candidates = {
        str(candidate.id): candidate for candidate in merge_learners.list_merge_candidates(section.id, learner)
    }
    form = MergeForm()
    form.other.choices = [
        SelectChoice("", _("Choose")),
        *(
            SelectChoice(key, f"{candidate.lis_name}, {candidate.lrn or _('no LRN yet')}")
            for key, candidate in candidates.items()
        ),
    ]
    if form.validate_on_submit():
        other = candidates[form.other.data]
        use_other_lrn = not learner.lrn or (other.lrn and form.lrn.data == "other")
        try:
            merge_learners.merge_learners(
                current_user, section, learner, other, lrn=other.lrn if use_other_lrn else learner.lrn
            )
        except merge_learners.OverlappingEnrolments:
            form.other.errors = [
                _("The two were in different sections on the same days. Correct their sections first.")
            ]
        except merge_learners.LearnerErased:
            form.other.errors = [_("One of the two was erased. What was erased is not brought back by a merge.")]
        else:
            flash(_("The two entries are one now."))
            return redirect(url_for(".show_learner", section_id=section.id, learner_id=learner.id))
    page = render_template("classes/learner_merge.html", form=form, section=section, learner=learner)
    return page, 422 if form.errors else 200

"""One learner: where she is and was, and how she gets into the coming classes."""

from uuid import UUID

from flask import Blueprint, current_app, render_template
from flask_login import current_user

from portal.base import audit, clock
from portal.classes import access
from portal.classes import queries as class_queries
from portal.config import Settings
from portal.registration import queries as registration_queries
from portal.registration import words as registration_words
from portal.registration.wanted import learner_address

bp = Blueprint("learner_page", __name__)


@bp.get("/classes/sections/<uuid:section_id>/learners/<uuid:learner_id>")
def show(section_id: UUID, learner_id: UUID) -> str:
    section, learner = access.learner_or_404(section_id, learner_id)
    audit.viewed("viewed", "learner", learner.id, by=current_user.id, section_id=section.id)
    times = class_queries.times_of(learner.id)
    today = clock.today()
    now = next((time for time in times if time.from_date <= today <= (time.until_date or today)), None)
    here = now is not None and now.section_id == section.id
    settings: Settings = current_app.extensions["silid.settings"]
    return render_template(
        "classes/learner.html",
        section=section,
        learner=learner,
        times=times,
        now_in=now,
        on_roster=here,
        governed=access.governs(section) and not section.is_past,
        address=learner_address(learner.lrn, learner.email, settings.email_domains),
        coming=registration_queries.coming_of(learner.id, section.id) if here else [],
        why=lambda code: registration_words.reason(code, settings.email_domains),
    )

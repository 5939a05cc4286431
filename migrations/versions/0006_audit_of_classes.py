"""audit: each entry names the class and section whose records it is about; those that are there get theirs

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OF_SECTION = "SELECT CAST(NULL AS uuid), s.id FROM sections s WHERE s.id = {id}"
OF_CLASS = "SELECT c.id, c.section_id FROM classes c WHERE c.id = {id}"
OF_MEETING = "SELECT c.id, c.section_id FROM zoom_meetings m JOIN classes c ON c.id = m.class_id WHERE m.id = {id}"
OF_DATE = (
    "SELECT c.id, c.section_id FROM meeting_occurrences o JOIN zoom_meetings m ON m.id = o.meeting_id"
    " JOIN classes c ON c.id = m.class_id WHERE o.id = {id}"
)
OF_SCHEDULE = "SELECT c.id, c.section_id FROM schedules h JOIN classes c ON c.id = h.class_id WHERE h.id = {id}"
FINDERS = {
    "section": OF_SECTION,
    "class": OF_CLASS,
    "meeting": OF_MEETING,
    "occurrence": OF_DATE,
    "class date": OF_DATE,
    "schedule": OF_SCHEDULE,
}


def upgrade() -> None:
    op.add_column("audit_log", sa.Column("class_id", sa.Uuid(), nullable=True))
    op.add_column("audit_log", sa.Column("section_id", sa.Uuid(), nullable=True))
    op.create_index("ix_audit_log_class_id_at", "audit_log", ["class_id", "at"])
    op.create_index("ix_audit_log_section_id_at", "audit_log", ["section_id", "at"])
    postgresql = op.get_bind().dialect.name == "postgresql"
    # SQLite keeps a UUID as 32 digits without hyphens, the log keeps the subject's id as text with them.
    subject = "CAST(audit_log.subject_id AS uuid)" if postgresql else "replace(audit_log.subject_id, '-', '')"
    for subject_type, finder in FINDERS.items():
        found = finder.format(id=subject)
        op.execute(f"UPDATE audit_log SET (class_id, section_id) = ({found}) WHERE subject_type = '{subject_type}'")


def downgrade() -> None:
    op.drop_index("ix_audit_log_section_id_at", "audit_log")
    op.drop_index("ix_audit_log_class_id_at", "audit_log")
    with op.batch_alter_table("audit_log") as table:
        table.drop_column("section_id")
        table.drop_column("class_id")

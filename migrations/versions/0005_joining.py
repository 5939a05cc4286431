"""joining: personal links and class links, their openings, a teacher's calendar link, keys of the day for IP hashes

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "join_links",
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=True),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("token_sealed", sa.String(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["class_id"], ["classes.id"], name=op.f("fk_join_links_class_id_classes"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["learners.id"], name=op.f("fk_join_links_learner_id_learners"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_join_links")),
        sa.UniqueConstraint("class_id", "learner_id", name=op.f("uq_join_links_class_id_learner_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_join_links_token_hash")),
    )
    op.create_index(
        "ix_join_links_one_for_the_class",
        "join_links",
        ["class_id"],
        unique=True,
        sqlite_where=sa.text("learner_id IS NULL"),
        postgresql_where=sa.text("learner_id IS NULL"),
    )
    op.create_index("ix_join_links_learner_id", "join_links", ["learner_id"])
    op.create_table(
        "join_openings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("occurrence_id", sa.Uuid(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("place_hash", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["link_id"], ["join_links.id"], name=op.f("fk_join_openings_link_id_join_links"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["meeting_occurrences.id"],
            name=op.f("fk_join_openings_occurrence_id_meeting_occurrences"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_join_openings")),
    )
    op.create_index("ix_join_openings_link_id", "join_openings", ["link_id"])
    op.create_index("ix_join_openings_occurrence_id", "join_openings", ["occurrence_id"])
    op.create_index("ix_join_openings_at", "join_openings", ["at"])
    op.create_table(
        "calendar_links",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("token_sealed", sa.String(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_calendar_links_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_links")),
        sa.UniqueConstraint("user_id", name=op.f("uq_calendar_links_user_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_calendar_links_token_hash")),
    )
    op.create_table(
        "ip_day_keys",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_ip_day_keys")),
    )


def downgrade() -> None:
    op.drop_table("ip_day_keys")
    op.drop_table("calendar_links")
    op.drop_table("join_openings")
    op.drop_table("join_links")

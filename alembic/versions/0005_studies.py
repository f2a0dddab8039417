"""studies"""

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_studies()
    _create_study_events()
    # In plain SQL, since SQLite adds a reference only with its column.
    op.execute("ALTER TABLE jobs ADD COLUMN study_id VARCHAR(40) CONSTRAINT fk_jobs_study_id REFERENCES studies (id)")
    op.add_column("jobs", sa.Column("control", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("waits_for", sa.String(40), nullable=True))
    op.create_index("ix_jobs_study_id", "jobs", ["study_id"])


def _create_studies() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("model_id", sa.String(40), sa.ForeignKey("models.id", ondelete="SET NULL"), nullable=True),
        sa.Column("dataset_id", sa.String(40), sa.ForeignKey("datasets.id", ondelete="SET NULL"), nullable=True),
        sa.Column("request", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("state", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("idempotency_hash", sa.String(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.UniqueConstraint("owner", "idempotency_key", name="uq_studies_owner_idempotency_key"),
    )
    for column in ("owner", "status", "model_id", "dataset_id"):
        op.create_index(f"ix_studies_{column}", "studies", [column])


def _create_study_events() -> None:
    op.create_table(
        "study_events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("study_id", sa.String(40), sa.ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("data", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_study_events_study_id_id", "study_events", ["study_id", "id"])


def downgrade() -> None:
    op.execute("DELETE FROM jobs WHERE study_id IS NOT NULL")
    op.drop_index("ix_jobs_study_id", "jobs")
    for column in ("waits_for", "control", "study_id"):
        op.drop_column("jobs", column)
    op.drop_table("study_events")
    op.drop_table("studies")

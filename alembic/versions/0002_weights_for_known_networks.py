"""weights for known networks"""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # In plain SQL, since SQLite adds a reference only with its column; copying the table would empty jobs.model_id.
    op.execute("ALTER TABLE models ADD COLUMN base_id VARCHAR(40) CONSTRAINT fk_models_base_id REFERENCES models (id)")
    op.add_column("models", sa.Column("layout", sa.String(length=64), nullable=True))
    op.add_column("models", sa.Column("architecture_from", sa.String(length=16), nullable=True))
    op.create_index(op.f("ix_models_base_id"), "models", ["base_id"])
    op.create_index(op.f("ix_models_layout"), "models", ["layout"])
    op.execute("UPDATE models SET architecture_from = 'given' WHERE architecture IS NOT NULL")


def downgrade() -> None:
    op.drop_index(op.f("ix_models_layout"), "models")
    op.drop_index(op.f("ix_models_base_id"), "models")
    for column in ("architecture_from", "layout", "base_id"):
        op.drop_column("models", column)

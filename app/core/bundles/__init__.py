"""What goes with a job's best file to wherever it is to run: bundle.zip, and the model card by itself."""

from app.core.bundles.bundle import CARD, Bundle
from app.core.bundles.model_card import model_card

__all__ = ["CARD", "Bundle", "model_card"]

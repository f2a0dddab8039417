"""Training that techniques share.

train       the loop: batches, validation, early stop, the best weights kept
objectives  what is minimised: losses of labels, and of the answers of a teacher
"""

from worker.training.batches import Batch
from worker.training.history import History
from worker.training.loop import train
from worker.training.objectives import Objective, recovery_objective

__all__ = ["Batch", "History", "Objective", "recovery_objective", "train"]

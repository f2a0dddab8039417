"""A learning curve as it goes into a result."""

from collections.abc import Sequence

from app.core.measurements import Epoch
from app.core.tasks import MOST_EPOCHS_KEPT


def thinned(epochs: Sequence[Epoch], most: int = MOST_EPOCHS_KEPT) -> tuple[Epoch, ...]:
    """At most `most` epochs, evenly spread; the first, the last and the one whose weights were kept are among them."""
    if len(epochs) <= most:
        return tuple(epochs)
    last = len(epochs) - 1
    kept = {round(position * last / (most - 2)) for position in range(most - 1)}
    kept.add(max((position for position, epoch in enumerate(epochs) if epoch.best), default=last))
    return tuple(epochs[position] for position in sorted(kept))

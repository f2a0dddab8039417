"""One step on one network."""

from dataclasses import replace

from app.core.recipes import Step
from worker.archives.settling import settled
from worker.network import Network
from worker.run import Run
from worker.seeding import seed_everything
from worker.techniques import apply


def applied(step: Step, network: Network, run: Run, seed: int) -> Network:
    """The changed network, which has the step among its own. The same seed draws the same numbers."""
    seed_everything(seed)
    changed = settled(apply(step, network, run), network, run)
    return replace(changed, steps=(*network.steps, step))

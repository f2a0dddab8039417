"""One file for each technique: a function of a step, a network and a run that gives the changed network.

`apply` chooses the function by the step's class. A new technique registers itself here by being imported below.
"""

from functools import singledispatch

from app.core.recipes import StepBase
from worker.network import Network
from worker.run import Run


@singledispatch
def apply(step: StepBase, network: Network, run: Run) -> Network:
    raise NotImplementedError(f"no technique is registered for {type(step).__name__}")


from worker.techniques import dynamic_quantization, magnitude_pruning, static_quantization  # noqa: E402, F401

"""One file for each technique: a function of a step, a network and a run that gives the changed network.

`apply` chooses the function by the step's class. Each file of this folder registers its own.
"""

import importlib
import pkgutil
from functools import singledispatch

from app.core.recipes import StepBase
from worker.network import Network
from worker.run import Run


@singledispatch
def apply(step: StepBase, network: Network, run: Run) -> Network:
    raise NotImplementedError(f"no technique is registered for {type(step).__name__}")


for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")

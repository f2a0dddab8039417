"""An LSTM with projections keeps its outputs and what flows back into it: its units are inside, each a column of its
cell's projection (Sak et al., Long Short-Term Memory Based Recurrent Neural Network Architectures, 2014)."""

from typing import Any

from worker.structure.analysis import Call, unmarked
from worker.structure.atoms import Mark, Marks

GATES = 4


def projected(call: Call) -> Any:
    marked, cells = call.marked(), []
    call.freeze(*marked.dims[:-1])
    for name in call.layer._flat_weights_names:
        if name.startswith("weight_hr"):
            suffix = name.removeprefix("weight_hr")
            inputs = marked[-1] if suffix.startswith("_l0") else None
            cells += _cell(call, suffix, inputs)
    if len(call.node.args) > 1 or call.node.kwargs or any(user.args[1] == 1 for user in call.node.users):
        call.freeze(cells)  # its state has a place for each unit
    call.structure.cells.append(cells)
    call.structure.hidden += cells
    return unmarked(call.answer)


def _cell(call: Call, suffix: str, inputs: Marks) -> list[Mark]:
    """The marks of its units. `inputs` is None where it reads projections, which stay."""
    of, layer = call.structure.of, call.layer
    projection, into = of(getattr(layer, f"weight_hr{suffix}")), of(getattr(layer, f"weight_ih{suffix}"))
    call.freeze(projection[0], of(getattr(layer, f"weight_hh{suffix}"))[1])
    if inputs is None:
        call.freeze(into[1])
    else:
        call.join(into[1], inputs)
    units = projection[1] or []
    for name in layer._flat_weights_names:
        if name.endswith(suffix) and not name.startswith("weight_hr"):
            call.join(units * GATES, of(getattr(layer, name))[0])
    return units

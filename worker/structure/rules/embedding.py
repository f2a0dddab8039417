"""Tables of vectors: their width can shrink, their rows are what inputs name."""

from torch import nn

from worker.structure.analysis import Call, Marked, functions, layers


@layers(nn.Embedding)
def embedding_layer(call: Call) -> Marked:
    weight = call.structure.of(call.layer.weight, frozen=(0,))
    call.freeze(weight[0])
    return Marked((*call.marked().dims, weight[1]))


@functions("embedding")
def embedding_function(call: Call) -> Marked:
    """The table comes first or second, by which operator it is."""
    weight, rows = call.marked(0), call.marked(1, "weight")
    if not call.args[0].is_floating_point():
        weight, rows = rows, weight
    call.freeze(weight[0])
    return Marked((*rows.dims, weight[1]))

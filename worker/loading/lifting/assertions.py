"""Checks that torch.export writes into a graph: they hold for the exported sizes only, and go."""

from torch import fx

from worker.loading.lifting.call import operator_name

ASSERTIONS = frozenset(
    {
        "aten::_assert_async",
        "aten::_assert_scalar",
        "aten::_assert_tensor_metadata",
        "aten::sym_constrain_range",
        "aten::sym_constrain_range_for_size",
    }
)


def without_assertions(graph: fx.Graph) -> None:
    for node in reversed(graph.nodes):
        if operator_name(node) in ASSERTIONS:
            node.replace_all_uses_with(None)
            graph.erase_node(node)

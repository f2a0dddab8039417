"""Which neighbours share a scale."""

from collections.abc import Callable

from torch import Tensor

from worker.packing.packed import Grouped

# Groups of values (groups, size) and a number of bits -> codes of that shape, scales and zero points.
Fit = Callable[[Tensor, int], tuple[Tensor, Tensor, Tensor | None]]


def fitted(fit: Fit, weight: Tensor, rows: int, group_size: int | None, bits: int) -> Grouped:
    values = weight.detach().float().reshape(-1, values_in_group(weight, rows, group_size))
    codes, scale, zero_point = fit(values, bits)
    return Grouped(codes.reshape(weight.shape), scale, zero_point, bits)


def values_in_group(weight: Tensor, rows: int, group_size: int | None) -> int:
    """`weight` is `rows` rows, each cut into groups of `group_size`; one group a row where that doesn't divide it.

    A matrix of short rows, such as an embedding's, has as many whole rows in a group as fit and divide it: a scale for
    each would take more than its few codes.
    """
    length = weight.numel() // rows
    if not group_size or (length > group_size and length % group_size):
        return length
    if length >= group_size:
        return group_size
    if weight.ndim != 2:
        return length
    return length * max(count for count in range(1, group_size // length + 1) if rows % count == 0)

"""Which packed weight of a network a tensor of a written file is, where the exporter has changed its scale or the order
of its rows, or has multiplied it with another."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from worker.packing.packed import Codebook, Grouped, Joined, Multiplied, Packed, RowsScaled


def found_again(
    values: Tensor, layers: frozenset[str], packed: Mapping[str, Packed]
) -> Packed | RowsScaled | Joined | None:
    """The codes of the weight that `values` are: also where each row has a factor, such as that of a batch norm which
    was folded in; where rows stand in another order, as ONNX has those of gates; where they are of both directions of a
    recurrent layer, (directions, rows, columns); or multiplied with an LSTM's projection."""
    own = [one for name, one in packed.items() if name.rpartition(".")[0] in layers]
    for one in own:
        found = _alike(one, values) if one.codes.shape == values.shape else None
        if found is not None:
            return found
    if values.ndim == 2:
        return _reordered(values, own)
    return _of_directions(values, own) if values.ndim == 3 else None


def _alike(packed: Packed, values: Tensor) -> Packed | RowsScaled | None:
    own = packed.unpacked()
    is_same = torch.equal(own, values) or torch.allclose(own, values, rtol=1e-6, atol=0)
    return packed if is_same else _scaled(packed, own, values)


def _scaled(packed: Packed, own: Tensor, values: Tensor) -> RowsScaled | None:
    rows, wanted = own.flatten(1), values.flatten(1)
    factors = (rows * wanted).sum(1) / rows.square().sum(1).clamp_min(torch.finfo(torch.float32).tiny)
    if not torch.allclose(rows * factors.unsqueeze(1), wanted, rtol=1e-4, atol=1e-7):
        return None
    return RowsScaled(packed, factors.reshape(-1, *[1] * (values.ndim - 1)))


def _of_directions(values: Tensor, own: Sequence[Packed]) -> Joined | None:
    parts = [_in_one_direction(one, own) for one in values]
    return Joined(tuple(part for part in parts if part is not None)) if None not in parts else None


def _in_one_direction(values: Tensor, own: Sequence[Packed]) -> Packed | Multiplied | None:
    """Of shape (1, rows, columns)."""
    found = _reordered(values, own)
    if found is not None:
        return replace(found, codes=found.codes.unsqueeze(0))
    product = _product(values, own)
    return product and replace(product, packed=replace(product.packed, codes=product.packed.codes.unsqueeze(0)))


def _product(values: Tensor, own: Sequence[Packed]) -> Multiplied | None:
    """A weight of an LSTM that takes in the projections of the states that it reads, of one direction or of both."""
    matrices = [one for one in own if one.codes.ndim == 2]
    for blocks in itertools.chain(itertools.permutations(matrices, 1), itertools.permutations(matrices, 2)):
        rows, columns = (sum(one.codes.shape[axis] for one in blocks) for axis in (0, 1))
        if columns != values.shape[1]:
            continue
        projection: Tensor = torch.block_diag(*(one.unpacked() for one in blocks))  # type: ignore[no-untyped-call]
        for one in matrices:
            if isinstance(one, Grouped | Codebook) and one.codes.shape == (len(values), rows):
                order = _order(values, one.unpacked() @ projection, _rows_together(one))
                if order is not None:
                    return Multiplied(_in_order(one, order), blocks)
    return None


def _reordered(values: Tensor, own: Sequence[Packed]) -> Grouped | Codebook | None:
    """Groups that are several rows must have stayed together."""
    for one in own:
        if isinstance(one, Grouped | Codebook) and one.codes.ndim == 2 and one.codes.shape[1] == values.shape[1]:
            order = _order(values, one.unpacked(), _rows_together(one))
            if order is not None:
                return _in_order(one, order)
    return None


def _rows_together(packed: Grouped | Codebook) -> int:
    return max(1, len(packed.codes) // len(packed.scale)) if isinstance(packed, Grouped) else 1


def _order(values: Tensor, rows: Tensor, together: int) -> Tensor | None:
    """Which `together` of the rows each `together` of the values are."""
    if len(values) % together:
        return None
    places = {part.numpy().tobytes(): place for place, part in enumerate(torch.split(rows, together))}
    order = [places.get(part.contiguous().numpy().tobytes(), -1) for part in torch.split(values, together)]
    return None if -1 in order else torch.tensor(order)


def _in_order(packed: Grouped | Codebook, order: Tensor) -> Grouped | Codebook:
    parts = len(packed.codes) // _rows_together(packed)

    def ordered(values: Tensor) -> Tensor:
        return values.reshape(parts, -1)[order].flatten()

    codes = ordered(packed.codes).reshape(-1, packed.codes.shape[1])
    if isinstance(packed, Codebook):
        return replace(packed, codes=codes)
    zero_point = packed.zero_point
    if zero_point is not None and len(zero_point) > 1:
        zero_point = ordered(zero_point)
    return replace(packed, codes=codes, scale=ordered(packed.scale), zero_point=zero_point)

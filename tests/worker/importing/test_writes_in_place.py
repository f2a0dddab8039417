"""Writes through views: the rebuilt network computes the same without writing anything in place."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn

from tests.worker.importing.archives import Way, rebuilt_from
from worker.loading.lifting.call import is_operator
from worker.loading.verification import verify

Change = Callable[[Tensor, Tensor], Tensor]


def through_parts(y: Tensor, x: Tensor) -> Tensor:
    first, second, third = y.chunk(3, 1)
    first.sigmoid_()
    third.mul_(x[:, :2])
    return y + first.sum() + second.sum() + third.sum()


def through_sizes(y: Tensor, x: Tensor) -> Tensor:
    first, second = torch.split(y, [2, 4], 1)
    second += x[:, :4]
    return torch.cat([y, first], 1)


def through_rows(y: Tensor, x: Tensor) -> Tensor:
    parts = y.unbind(1)
    parts[2].add_(x[:, 0])
    parts[5].zero_()
    return y


def twice_through_one_view(y: Tensor, x: Tensor) -> Tensor:
    middle = y[:, 1:4]
    middle.mul_(2.0)
    y.sub_(x)
    middle.add_(1.0)
    return y + middle.sum()


def from_the_end(y: Tensor, x: Tensor) -> Tensor:
    y[:, -1] = x[:, 0]
    y[:, -3:-1] = x[:, :2]
    y[:, -2:] *= 3.0
    return y


def through_other_forms(y: Tensor, x: Tensor) -> Tensor:
    square = y.view(-1, 2, 3).transpose(1, 2).unsqueeze(0)
    square[0, :, 1].add_(x[:, :2])
    y.t().narrow(0, 4, 2).fill_(0.5)
    return y


def every_other(y: Tensor, x: Tensor) -> Tensor:
    y[:, ::2] = x[:, :3]
    return y.permute(1, 0).relu_().permute(1, 0) - y


def on_the_diagonal(y: Tensor, x: Tensor) -> Tensor:
    square = torch.einsum("bi,bj->bij", y, x)
    torch.diagonal(square, 0, 1, 2).copy_(x)
    return square


def where_it_is_small(y: Tensor, x: Tensor) -> Tensor:
    y[:, :3].masked_fill_(x[:, :3] < 0, 7.0)
    y[:, 3:][x[:, 3:] < 0] = 2.0
    return y


CHANGES: tuple[Change, ...] = (
    through_parts,
    through_sizes,
    through_rows,
    twice_through_one_view,
    from_the_end,
    through_other_forms,
    every_other,
    on_the_diagonal,
    where_it_is_small,
)


class Changing(nn.Module):
    def __init__(self, change: Change) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.layer(x), x)


def vectors(batch: int) -> tuple[Tensor]:
    return (torch.randn(batch, 6, generator=torch.Generator().manual_seed(batch)),)


def writes_in(network: fx.GraphModule) -> list[str]:
    return [str(node.target) for node in network.graph.nodes if is_operator(node) and node.target._schema.is_mutable]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("way", ["trace", "script"])
def test_a_write_through_a_view_reaches_all_that_see_it(change: Change, way: Way) -> None:
    torch.manual_seed(0)
    source = Changing(change)
    with torch.no_grad():  # otherwise torch itself refuses to write into the parts of a split
        result = rebuilt_from(source, vectors, way)
    assert verify(result.network, source, vectors).largest < 1e-6
    assert writes_in(result.network) == []


def test_what_may_be_a_copy_is_written_as_the_upload_writes_it() -> None:
    class Copying(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x + 1
            y.t().reshape(-1).mul_(2.0)
            y.reshape(-1).add_(3.0)
            return y

    source = Copying()
    result = rebuilt_from(source, vectors)
    assert verify(result.network, source, vectors).largest < 1e-6
    assert len(writes_in(result.network)) == 2

"""Which blocks are found, by what stands around them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn

from worker.blocks.block import Block
from worker.blocks.finding import find_blocks


class Net(nn.Module):
    """Some layers, and what is done with them."""

    def __init__(self, answer: Callable[["Net", Tensor], Tensor]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.a, self.b, self.c = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        self.wider, self.narrower = nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(16, 8, 3, padding=1)
        self.short = nn.Conv2d(8, 16, 1, 2)
        self.deeper = nn.Conv2d(16, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.lstm = nn.LSTM(8, 8, num_layers=3, batch_first=True)
        self.last = nn.Conv2d(8, 4, 1)
        self.answer = answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self, x)


def found(answer: Callable[[Net, Tensor], Tensor]) -> list[Block]:
    torch.manual_seed(0)
    return find_blocks(fx.symbolic_trace(Net(answer).eval()), (torch.randn(2, 3, 8, 8),))


def test_a_branch_from_the_other_operand() -> None:
    def residual(net, x):
        x = net.stem(x)
        return net.last(torch.relu(x + net.norm(net.b(torch.relu(net.a(x))))))

    (block,) = found(residual)
    assert (block.kind, block.layers) == ("residual block", ("a", "b", "norm"))
    assert (block.kept.target, block.exit.op) == ("stem", "call_function")


def test_a_branch_beside_a_shortcut() -> None:
    def projected(net, x):
        x = net.stem(x)
        return net.last(net.narrower(net.short(x) + net.deeper(torch.relu(net.wider(x)))))

    blocks = {block.layers: block for block in found(projected)}
    assert blocks[("wider", "deeper")].kept.target == "short"


def test_a_chain_that_keeps_the_shape() -> None:
    def chain(net, x):
        return net.last(torch.relu(net.norm(net.a(torch.relu(net.stem(x))))))

    (block,) = found(chain)
    assert (block.kind, block.layers) == ("repeated layer", ("a", "norm"))
    assert "relu" in block.exit.name


def test_levels_of_a_recurrent_stack() -> None:
    def stacked(net, x):
        return net.lstm(net.stem(x).mean(2).transpose(1, 2))[0]

    assert [block.level for block in found(stacked)] == [1, 2]


REFUSED = {
    "no layers in the branch": lambda net, x: net.last(net.stem(x) + torch.relu(net.stem(x))),
    "other shapes": lambda net, x: net.last(net.stem(x) + net.stem(x).mean((2, 3), keepdim=True)),
    "the last layer": lambda net, x: net.a(net.stem(x)),
    "the first layer": lambda net, x: net.last(net.stem(x)),
    "a state that is read": lambda net, x: net.lstm(net.stem(x).mean(2).transpose(1, 2))[1][0],
    "two wide branches": lambda net, x: net.last(_two_branches(net, net.stem(x))),
}


def _two_branches(net: Net, x: Tensor) -> Tensor:
    return torch.relu(net.narrower(net.wider(x))) + torch.sigmoid(net.narrower(net.short(x)))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_block(name: str) -> None:
    assert found(REFUSED[name]) == []


def test_a_branch_that_is_read_elsewhere_stays() -> None:
    def read_twice(net, x):
        x = net.stem(x)
        inner = net.wider(x)
        return net.last(x + nn.functional.interpolate(net.narrower(inner), scale_factor=2)) + inner.mean()

    assert found(read_twice) == []


def test_layers_of_a_residual_block_go_together() -> None:
    def residual(net, x):
        x = net.stem(x)
        return net.last(torch.relu(x + net.b(torch.relu(net.a(x)))))

    assert [block.layers for block in found(residual)] == [("a", "b")]


def test_of_nested_blocks_the_inner_one_and_the_layers_around_it() -> None:
    def nested(net, x):
        x = net.stem(x)
        y = net.a(x)
        return net.last(x + net.c(y + net.b(torch.relu(y))))

    assert [(block.kind, block.layers) for block in found(nested)] == [
        ("repeated layer", ("a",)),
        ("residual block", ("b",)),
        ("repeated layer", ("c",)),
    ]

"""What a rebuilt network is held to beside its class's source."""

import copy

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves


def archive_names(network: fx.GraphModule) -> dict[str, str]:
    """The network's names of tensors -> the archive's."""
    return {name: network.meta["renamed"].get(name, name) for name in network.state_dict()}


def squared(answers: object) -> Tensor:
    return torch.stack([leaf.square().mean() for leaf in tree_leaves(answers)]).sum()


def gradients(module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Of every parameter, under each of its names."""
    module.zero_grad()
    squared(module(*inputs)).backward()
    named = module.named_parameters(remove_duplicate=False)
    return {name: one.grad.clone() for name, one in named if one.grad is not None}


def assert_same_gradients(source: nn.Module, network: fx.GraphModule, inputs: tuple[Tensor, ...]) -> None:
    """By the archive's names."""
    expected, names = gradients(source, inputs), archive_names(network)
    found = {names[name]: gradient for name, gradient in gradients(network, inputs).items()}
    assert set(found) == set(expected)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6)


def assert_a_step_lowers_the_loss(network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    network = copy.deepcopy(network)
    before = squared(network(*inputs))
    before.backward()
    torch.optim.SGD(network.parameters(), lr=1e-3).step()
    assert squared(network(*inputs)) < before

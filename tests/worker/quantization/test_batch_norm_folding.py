import torch
from torch import Tensor, fx, nn

from worker.quantization.batch_norm_folding import fold_batch_norms


class Folded(nn.Module):
    """A pair that folds, a norm whose convolution is read by others, too, and one without a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.shared, self.shared_norm = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        self.alone = nn.BatchNorm2d(8)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.first_norm(self.first(images)))
        y = self.shared(x)
        return self.alone(torch.relu(y + self.shared_norm(y)))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(self.norm(self.convolution(images))))


def graph_of(network: nn.Module) -> fx.GraphModule:
    torch.manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -1, 1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
    return fx.symbolic_trace(network.eval())


def folded(network: nn.Module) -> list[str]:
    """The norms that are left; the answers are the same."""
    module, images = graph_of(network), torch.randn(2, 3, 8, 8)
    before = module(images)
    fold_batch_norms(module)
    assert torch.allclose(module(images), before, atol=1e-5)
    return [name for name, layer in module.named_modules() if isinstance(layer, nn.BatchNorm2d)]


def test_norms_become_part_of_convolutions_that_nothing_else_reads() -> None:
    assert folded(Folded()) == ["shared_norm", "alone"]


def test_a_convolution_that_is_called_twice_keeps_its_norm() -> None:
    assert folded(Twice()) == ["norm"]

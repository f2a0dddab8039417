"""Attention in scripted archives drops its weights in training mode again, as the source does."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from app.core.architectures import NetworkArchitecture
from app.core.inputs import InputSpec
from app.core.written_networks import WrittenNetwork
from tests.worker.importing.archives import rebuilt_from
from worker.architectures import Material, build
from worker.counting import count
from worker.exporting.load_network import load_network
from worker.exporting.onnx import export_onnx
from worker.exporting.state_dict import export_state_dict
from worker.exporting.torchscript import export_torchscript
from worker.loading.verification import verify
from worker.network import Network

RATE = 0.37
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")


class SelfAttention(nn.Module):
    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=RATE, batch_first=True)
        self.need_weights = need_weights

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.attention(x, x, x, need_weights=self.need_weights)[0]
        return answer


class OwnAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Linear(8, 8)
        self.rate = RATE

    def forward(self, x: Tensor) -> Tensor:
        query, mask = self.projection(x), torch.ones(5, 5).tril() > 0
        rate = self.rate if self.training else 0.0
        answer: Tensor = functional.scaled_dot_product_attention(query, query, x, attn_mask=mask, dropout_p=rate)
        return answer


def encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=RATE, batch_first=True), 2)


def sequences(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 5, 8, generator=torch.Generator().manual_seed(batch)),)


SOURCES: dict[str, Callable[[], nn.Module]] = {
    "fused": lambda: SelfAttention(need_weights=False),
    "with its weights": lambda: SelfAttention(need_weights=True),
    "of its own": OwnAttention,
    "encoder": encoder,
}


def seeded(network: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    torch.manual_seed(3)
    answer: Tensor = network(*inputs)
    return answer


@pytest.mark.parametrize("kind", SOURCES)
def test_it_drops_in_training_mode_alone_and_as_much_as_the_source(kind: str) -> None:
    torch.manual_seed(0)
    result = rebuilt_from(SOURCES[kind](), sequences)
    assert verify(result.network, result.archive, sequences).largest < 1e-5
    assert result.imported.warnings == []
    result.source.train()
    result.network.train()
    assert not torch.equal(result.network(*sequences(2)), result.network(*sequences(2)))
    torch.testing.assert_close(seeded(result.network, sequences(2)), seeded(result.source, sequences(2)))
    result.network.eval()
    assert torch.equal(result.network(*sequences(2)), result.network(*sequences(2)))


def test_a_choice_by_mode_that_is_no_dropout_is_that_of_evaluation() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)
            self.noise = 0.5

        def forward(self, x: Tensor) -> Tensor:
            noise = self.noise if self.training else 0.0
            if noise > 0.0:
                x = x + 1
            return self.layer(x) * (1.0 + noise)

    result = rebuilt_from(Scaled(), sequences)
    assert verify(result.network, result.archive, sequences).largest < 1e-5


def test_written_files_keep_it_where_they_can(tmp_path: Path) -> None:
    """A state dict's network goes on with training, also here; programs written for inference drop nothing."""
    module = rebuilt_from(SelfAttention(need_weights=False), sequences).network
    network = Network(module, (InputSpec(name="x", shape=("batch", 5, 8)),))
    export_state_dict(network, tmp_path / "model.safetensors")
    description = WrittenNetwork.model_validate_json((tmp_path / "network.json").read_text())
    weights = Material(load_file(tmp_path / "model.safetensors"))
    sent_again = build(NetworkArchitecture(source="network", network=description), weights)
    loaded = load_network(tmp_path / "network.json", tmp_path / "model.safetensors")
    for again in (loaded, sent_again):
        torch.testing.assert_close(seeded(again.train(), sequences(2)), seeded(module.train(), sequences(2)))
    module.eval()
    export_torchscript(network, tmp_path / "model.pt")
    assert set(count(network).output_shapes) == {"attention.in_proj", "attention.out_proj"}
    torch.testing.assert_close(torch.jit.load(tmp_path / "model.pt")(*sequences(3)), module(*sequences(3)))
    export_onnx(network, tmp_path / "model.onnx")
    assert b"Dropout" not in (tmp_path / "model.onnx").read_bytes()

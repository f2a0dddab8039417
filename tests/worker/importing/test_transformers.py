"""Networks of the transformers library, tiny and with random weights, as their users trace them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.worker.importing.archives import rebuilt_from
from worker.loading.verification import verify

transformers = pytest.importorskip("transformers")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 60,
    "max_position_embeddings": 40,
}
VISION = {name: BERT[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")}
DISTILBERT = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "vocab_size": 60}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 60, "n_positions": 40, "use_cache": False}
SPEECH = {
    **VISION,
    "conv_dim": [16, 16],
    "conv_stride": [5, 4],
    "conv_kernel": [10, 4],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 16,
    "vocab_size": 12,
}


class FirstOutput(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)[0]


def tokens(batch: int) -> tuple[Tensor, ...]:
    return (torch.randint(3, 60, (batch, 9), generator=torch.Generator().manual_seed(batch)),)


def images(size: int) -> Callable[[int], tuple[Tensor, ...]]:
    return lambda batch: (torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(batch)),)


def sound(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 2000, generator=torch.Generator().manual_seed(batch)),)


NETWORKS: dict[str, tuple[str, str, dict[str, Any], Callable[[int], tuple[Tensor, ...]]]] = {
    "bert": ("BertConfig", "BertForSequenceClassification", BERT, tokens),
    "distilbert": ("DistilBertConfig", "DistilBertForSequenceClassification", DISTILBERT, tokens),
    "albert": ("AlbertConfig", "AlbertForSequenceClassification", {**BERT, "embedding_size": 16}, tokens),
    "deberta": ("DebertaV2Config", "DebertaV2ForSequenceClassification", BERT, tokens),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", GPT2, tokens),
    "llama": ("LlamaConfig", "LlamaForCausalLM", {**BERT, "num_key_value_heads": 2, "use_cache": False}, tokens),
    "vit": ("ViTConfig", "ViTForImageClassification", {**VISION, "image_size": 32, "patch_size": 8}, images(32)),
    "convnext": (
        "ConvNextConfig",
        "ConvNextForImageClassification",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "image_size": 64},
        images(64),
    ),
    "swin": (
        "SwinConfig",
        "SwinForImageClassification",
        {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "image_size": 32, "window_size": 4},
        images(32),
    ),
    "resnet": (
        "ResNetConfig",
        "ResNetForImageClassification",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "layer_type": "basic"},
        images(32),
    ),
    "mobilenet": (
        "MobileNetV2Config",
        "MobileNetV2ForImageClassification",
        {"depth_multiplier": 0.35, "image_size": 32},
        images(32),
    ),
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2ForSequenceClassification", SPEECH, sound),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_traced_network_is_rebuilt(name: str) -> None:
    config, model, settings, inputs = NETWORKS[name]
    torch.manual_seed(0)
    source = FirstOutput(getattr(transformers, model)(getattr(transformers, config)(**settings)))
    rebuilt = rebuilt_from(source, inputs, way="trace")
    assert verify(rebuilt.network, rebuilt.archive, inputs).largest < 1e-5
    assert set(rebuilt.archive.state_dict()) <= set(rebuilt.names().values())
    assert gradients(rebuilt.network, inputs(2)) == pytest.approx(gradients(source, inputs(2)), rel=1e-4)


def gradients(network: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    """The norm of all gradients as one number, each shared parameter counted once."""
    network.zero_grad()
    network(*inputs).square().mean().backward()
    squares = [one.grad.square().sum() for one in network.parameters() if one.grad is not None]
    return float(torch.stack(squares).sum().sqrt())

"""Networks of the transformers library, tiny and with random weights, as their users trace them."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from tests.worker.architectures import configs
from tests.worker.architectures.configs import Config
from tests.worker.importing.networks import Case


def _settings(config: Config) -> Config:
    """What a config's class takes, without what chooses the classes."""
    return {name: value for name, value in config.items() if name not in ("model_type", "architectures")}


BERT = _settings(configs.BERT)
VISION = {name: BERT[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")}
DISTILBERT = _settings(configs.DISTILBERT)
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 60, "n_positions": 40, "use_cache": False}
SPEECH = _settings(configs.WAV2VEC2)
CONVNEXT = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "image_size": 64}
SWIN = {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "image_size": 32, "window_size": 4}
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "layer_type": "basic"}


class FirstOutput(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)[0]


def _builder(model: str, config: str, settings: Mapping[str, Any]) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import transformers  # slow to load, and few tests need it

        return FirstOutput(getattr(transformers, model)(getattr(transformers, config)(**settings)))

    return build


def _language(name: str, model: str, config: str, settings: Mapping[str, Any]) -> Case:
    return Case(name, _builder(model, config, settings), ((9,),), tokens=60, scripts=False)


def _images(name: str, model: str, config: str, settings: Mapping[str, Any], size: int = 32) -> Case:
    return Case(name, _builder(model, config, settings), ((3, size, size),), scripts=False)


LIBRARY = (
    _language("bert", "BertForSequenceClassification", "BertConfig", BERT),
    _language("distilbert", "DistilBertForSequenceClassification", "DistilBertConfig", DISTILBERT),
    _language("albert", "AlbertForSequenceClassification", "AlbertConfig", {**BERT, "embedding_size": 16}),
    _language("deberta", "DebertaV2ForSequenceClassification", "DebertaV2Config", BERT),
    _language("gpt2", "GPT2LMHeadModel", "GPT2Config", GPT2),
    _language("llama", "LlamaForCausalLM", "LlamaConfig", {**BERT, "num_key_value_heads": 2, "use_cache": False}),
    _images("vit", "ViTForImageClassification", "ViTConfig", {**VISION, "image_size": 32, "patch_size": 8}),
    _images("convnext", "ConvNextForImageClassification", "ConvNextConfig", CONVNEXT, size=64),
    _images("swin", "SwinForImageClassification", "SwinConfig", SWIN),
    _images("resnet", "ResNetForImageClassification", "ResNetConfig", RESNET),
    _images(
        "mobilenet",
        "MobileNetV2ForImageClassification",
        "MobileNetV2Config",
        {"depth_multiplier": 0.35, "image_size": 32, "initializer_range": 0.2},  # else its answers are all zero
    ),
    Case(
        "wav2vec2", _builder("Wav2Vec2ForSequenceClassification", "Wav2Vec2Config", SPEECH), ((2000,),), scripts=False
    ),
)

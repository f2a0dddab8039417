"""State dicts with a Hugging Face config.json: rebuilt, inspected, compressed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn

from app.core.architectures import TransformersArchitecture
from app.core.errors import Invalid
from app.core.facts import ModelInspection
from app.core.inputs import InputSpec
from app.core.job_files import ModelFile
from app.core.recipes import TECHNIQUES
from app.core.tasks import Compress, InspectModel
from tests.worker.architectures.configs import BERT, CONFIGS, GPT2, MAMBA, MASKED_BERT, ROBERTA, VIT, Config
from tests.worker.jobs import MODEL, silent
from worker.inputs import random_inputs
from worker.loading import load_network
from worker.network import tensors_in
from worker.pipeline import perform

pytestmark = pytest.mark.filterwarnings("ignore")  # of a library whose newest release warns of its next one


def source_of(config: Config) -> nn.Module:
    import transformers

    torch.manual_seed(0)
    settings = transformers.AutoConfig.for_model(**config, attn_implementation="eager")
    return getattr(transformers, config["architectures"][0])(settings).eval()


def folder_with(folder: Path, weights: dict[str, Tensor]) -> Path:
    for name in ("inputs", "outputs"):
        (folder / name).mkdir()
    save_file({name: tensor.clone().contiguous() for name, tensor in weights.items()}, folder / MODEL)
    return folder


def model_of(config: Config, **more: Any) -> ModelFile:
    architecture = TransformersArchitecture(source="transformers", config=config)
    return ModelFile(path=MODEL, format="safetensors", architecture=architecture, **more)


def inspect(folder: Path, config: Config, **more: Any) -> ModelInspection:
    answer = perform(InspectModel(model=model_of(config, **more)), folder, silent)
    assert isinstance(answer, ModelInspection)
    return answer


def refusal(folder: Path, weights: dict[str, Tensor], config: Config, **more: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        inspect(folder_with(folder, weights), config, **more)
    return caught.value


@pytest.mark.parametrize(
    "name", ["bert", "vit", *(pytest.param(n, marks=pytest.mark.slow) for n in CONFIGS if n not in ("bert", "vit"))]
)
def test_the_rebuilt_network_answers_as_its_source(tmp_path: Path, name: str) -> None:
    source = source_of(CONFIGS[name])
    folder = folder_with(tmp_path, source.state_dict())
    found = inspect(folder, CONFIGS[name])
    assert (found.inputs_from, found.facts.editable) == ("guessed", "whole")
    assert found.facts.parameters == sum(parameter.numel() for parameter in source.parameters())
    network = load_network(model_of(CONFIGS[name], inputs=found.inputs), folder, None)
    examples = random_inputs(found.inputs, 3, seed=1, free_size=9)
    named = dict(zip((spec.name for spec in found.inputs), examples, strict=True))
    with torch.no_grad():
        expected = tensors_in(source(**named, use_cache=False) if "input_ids" in named else source(**named))
    assert torch.allclose(network.run(*examples)[0], expected[0], atol=1e-5)
    assert all(names & network.module.state_dict().keys() for names in names_of_tensors(source))


def names_of_tensors(network: nn.Module) -> list[set[str]]:
    """A tied tensor has several names, of which one is enough."""
    names: dict[int, set[str]] = {}
    for name, tensor in network.state_dict(keep_vars=True).items():
        names.setdefault(id(tensor), set()).add(name)
    return list(names.values())


def test_what_can_not_be_traced_for_every_size_is_not_editable(tmp_path: Path) -> None:
    """Its scan over the time is a loop, of which a trace keeps as many turns as its example has."""
    found = inspect(folder_with(tmp_path, source_of(MAMBA).state_dict()), MAMBA)
    assert found.facts.editable == "no"
    assert [blocker.operator for blocker in found.facts.blocked_by] == ["torch.jit.trace"]


@pytest.mark.parametrize(("name", "technique"), [("bert", "dynamic_quantization"), ("vit", "magnitude_pruning")])
def test_a_rebuilt_network_is_compressed(tmp_path: Path, name: str, technique: str) -> None:
    folder = folder_with(tmp_path, source_of(CONFIGS[name]).state_dict())
    model = model_of(CONFIGS[name], inputs=inspect(folder, CONFIGS[name]).inputs, inputs_from="guessed")
    step = TECHNIQUES[technique](technique=technique)
    task = Compress(model=model, dataset=None, steps=(step,), outputs=("onnx", "state_dict"), seed=0)
    if technique == "dynamic_quantization":
        task = task.model_copy(update={"outputs": ("onnx",)})
    written = {file.name for file in perform(task, folder, silent).files if file.role == "artifact"}
    assert "model.onnx" in written


def test_tokens_are_guessed_below_the_vocabulary_and_the_longest_position(tmp_path: Path) -> None:
    found = inspect(folder_with(tmp_path, source_of(ROBERTA).state_dict()), ROBERTA)
    tokens, mask = found.inputs
    assert (tokens.name, tokens.dtype, tokens.low, tokens.high) == ("input_ids", "int64", 0, 60)
    assert (mask.name, mask.high) == ("attention_mask", 2)
    assert tokens.ranges["time"] == (1, 40 - 2)  # two rows of the table stand for padding


def test_images_are_guessed_from_their_size(tmp_path: Path) -> None:
    found = inspect(folder_with(tmp_path, source_of(VIT).state_dict()), VIT)
    assert [(spec.name, spec.shape) for spec in found.inputs] == [("pixel_values", ("batch", 3, 32, 32))]


def test_given_inputs_are_taken_by_name(tmp_path: Path) -> None:
    row = {"shape": ("batch", 7), "dtype": "int64", "low": 0}
    inputs = (InputSpec(name="token_type_ids", high=2, **row), InputSpec(name="input_ids", high=60, **row))
    found = inspect(folder_with(tmp_path, source_of(BERT).state_dict()), BERT, inputs=inputs)
    assert (found.inputs, found.inputs_from) == (inputs, "given")


def test_an_input_that_the_network_does_not_have_is_named(tmp_path: Path) -> None:
    inputs = (InputSpec(name="words", shape=("batch", 7), dtype="int64", low=0, high=60),)
    problem = refusal(tmp_path, source_of(BERT).state_dict(), BERT, inputs=inputs)
    assert problem.code == "forward_failed"
    assert "no input words" in problem.detail
    assert "input_ids" in problem.detail


def test_tied_weights_need_to_be_there_once(tmp_path: Path) -> None:
    weights = source_of(MASKED_BERT).state_dict()
    del weights["cls.predictions.decoder.weight"], weights["cls.predictions.decoder.bias"]
    network = load_network(
        model_of(MASKED_BERT, inputs=inspect(folder_with(tmp_path, weights), MASKED_BERT).inputs), tmp_path, None
    )
    assert network.module.get_parameter("cls.predictions.decoder.weight") is network.module.get_parameter(
        "bert.embeddings.word_embeddings.weight"
    )


def test_weights_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    weights = source_of(BERT).state_dict()
    weights["head.weight"] = weights.pop("classifier.weight")
    weights["bert.pooler.dense.bias"] = torch.zeros(5)
    problem = refusal(tmp_path, weights, BERT)
    assert problem.code == "weights_do_not_fit"
    for words in (
        "no classifier.weight",
        "no place for head.weight",
        "bert.pooler.dense.bias (file [5], network [32])",
    ):
        assert words in problem.detail


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"model_type": "nobody-knows"}, "architecture_malformed", "no model type 'nobody-knows'"),
        ({"model_type": "timm_wrapper"}, "architecture_malformed", "no model type"),
        ({"architectures": ["GPT2LMHeadModel"]}, "architecture_malformed", "no class GPT2LMHeadModel"),
        ({"architectures": ["logging"]}, "architecture_malformed", "no class logging"),
        ({"hidden_size": 33}, "architecture_malformed", "contradict"),
        ({"hidden_size": "wide"}, "architecture_malformed", "config"),
        ({"vocab_size": 10**11}, "weights_do_not_fit", "word_embeddings.weight"),
        ({"max_position_embeddings": 10**9}, "weights_do_not_fit", "position_embeddings.weight"),
    ],
)
def test_a_config_that_can_not_be_built_is_explained(tmp_path: Path, changed: Config, code: str, words: str) -> None:
    problem = refusal(tmp_path, source_of(BERT).state_dict(), {**BERT, **changed})
    assert problem.code == code
    assert words in problem.detail


def test_buffers_count_before_anything_is_allocated(tmp_path: Path) -> None:
    """No weight of this network has that size, but its masks would."""
    problem = refusal(tmp_path, {"x": torch.zeros(1)}, {**GPT2, "n_positions": 10**6})
    assert problem.code == "weights_do_not_fit"


def test_what_names_code_is_left_out() -> None:
    harmful = {
        "auto_map": {"AutoModel": "evil--modeling.Evil"},
        "attn_implementation": "someone/kernel",
        "_attn_implementation": "someone/kernel",
        "quantization_config": {"quant_method": "bitsandbytes"},
        "use_kernels": True,
        "step_kernel": "someone/kernel",
        "conv_kernel": [3, 3],
        "text_config": {"auto_map": {}, "hidden_size": 4},
    }
    architecture = TransformersArchitecture(source="transformers", config={**BERT, **harmful})
    assert architecture.config == {**BERT, "conv_kernel": [3, 3], "text_config": {"hidden_size": 4}}


@pytest.mark.parametrize(
    "config", [{}, {"model_type": 5}, {"model_type": "../bert"}, {**BERT, "architectures": ["a b"]},
               {**BERT, "num_hidden_layers": 10**6}, {**BERT, "hidden_size": 10**13}]
)  # fmt: skip
def test_a_config_that_is_none_is_refused_at_once(config: Config) -> None:
    with pytest.raises(ValidationError):
        TransformersArchitecture(source="transformers", config=config)

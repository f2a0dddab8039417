"""A Hugging Face config.json -> the transformers library's own network.

The library is imported here only, in the child that needs it: that takes seconds. It builds and fills the network by
its own road for checkpoints, which knows tied weights, buffers that no file holds, and names of older versions.
"""

import inspect
import os
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from app.core.architectures import TransformersArchitecture
from app.core.errors import Invalid
from worker.architectures import Material, build, untrained
from worker.architectures.by_name import ByName
from worker.architectures.fit import check_fit, does_not_fit, malformed, shapes_of
from worker.architectures.transformers_inputs import guesses

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

ADVICE = (
    "Send the config.json that was saved beside these weights; the first of its `architectures` must be the class "
    "whose state_dict() this is."
)
_NEEDS_ANOTHER_LIBRARY = frozenset({"timm_backbone", "timm_wrapper"})
_SLACK = 1 << 20


@build.register
def _(architecture: TransformersArchitecture, material: Material) -> nn.Module:
    _quietly_imported()
    config = _config(dict(architecture.config))
    model_class = _model_class(config)
    _check_size(model_class, config, material)
    return _by_name(_filled(model_class, config, material))


@untrained.register
def _(architecture: TransformersArchitecture) -> nn.Module:
    _quietly_imported()
    config = _config(dict(architecture.config))
    model_class = _model_class(config)
    _skeleton(model_class, config)  # refuses what can't be built before anything is allocated
    return _by_name(model_class._from_config(config, attn_implementation="eager", dtype=torch.float32))


def _by_name(model: "PreTrainedModel") -> ByName:
    names = [name for name in inspect.signature(model.forward).parameters if name != model.main_input_name]
    argument_names = (model.main_input_name, *names)
    return ByName(model, argument_names, list(guesses(model, argument_names))).eval()


def _quietly_imported() -> None:
    """Offline, whatever a config names; and without progress bars and advice in a job's log."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from transformers.utils import logging
    except ImportError as error:
        raise Invalid(
            'This worker has no transformers library. Have it installed: pip install "modelpress[worker]".',
            code="architecture_unavailable",
            title="This architecture can't be built here",
        ) from error
    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _config(fields: dict[str, Any]) -> "PretrainedConfig":
    """The library's own record of the fields; only of model types that it knows itself."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    model_type = fields.pop("model_type")
    if model_type not in CONFIG_MAPPING_NAMES.keys() & MODEL_MAPPING_NAMES.keys() - _NEEDS_ANOTHER_LIBRARY:
        raise malformed(
            f"transformers has no model type {model_type!r} of its own that can be built here. Code that came with a "
            "checkpoint is never run: upload the network as TorchScript instead."
        )
    try:
        config: PretrainedConfig = CONFIG_MAPPING[model_type].from_dict(
            fields | {"use_cache": False, "return_dict": True}
        )
    except Exception as error:
        raise malformed(
            f"The config has values that a {model_type} can't have; the job's log says which. Send config.json as "
            "transformers saved it."
        ) from error
    return config


def _model_class(config: "PretrainedConfig") -> type["PreTrainedModel"]:
    """The class that `architectures` names, of those that the library has for this model type; else the plain one."""
    import transformers
    from transformers.models.auto import modeling_auto

    mappings = [mapping for name, mapping in vars(modeling_auto).items() if name.endswith("_MAPPING_NAMES")]
    known = {head for mapping in mappings for head in _as_names(mapping.get(config.model_type))}
    plain = _as_names(modeling_auto.MODEL_MAPPING_NAMES[config.model_type])[0]
    wanted = (config.architectures or [plain])[0]
    if wanted not in known:
        raise malformed(
            f"transformers has no class {wanted} for the model type {config.model_type}. It has "
            f"{', '.join(sorted(known))}."
        )
    try:
        found: type[PreTrainedModel] = getattr(transformers, wanted)
    except (AttributeError, ImportError) as error:
        raise malformed(f"{wanted} needs a library that isn't here. Upload the network as TorchScript.") from error
    return found


def _as_names(entry: Any) -> tuple[str, ...]:
    if entry is None:
        return ()
    return (entry,) if isinstance(entry, str) else tuple(entry)


def _check_size(model_class: type["PreTrainedModel"], config: "PretrainedConfig", material: Material) -> None:
    """On torch's meta device, where nothing is allocated: what is much larger than the file is never made."""
    skeleton = _skeleton(model_class, config)
    tensors = skeleton.state_dict() | dict(skeleton.named_buffers())
    wanted = sum(tensor.numel() for tensor in tensors.values())
    if wanted > 2 * sum(tensor.numel() for tensor in material.weights.values()) + _SLACK:
        check_fit(shapes_of(skeleton.state_dict()), shapes_of(material.weights), ADVICE)
        raise malformed(f"The network would hold {wanted} numbers, many more than the file. {ADVICE}")


def _skeleton(model_class: type["PreTrainedModel"], config: "PretrainedConfig") -> "PreTrainedModel":
    from transformers.initialization import no_init_weights

    try:
        with torch.device("meta"), no_init_weights():
            skeleton: PreTrainedModel = model_class._from_config(config, attn_implementation="eager")
    except Exception as error:
        raise malformed(
            f"transformers can't build a {model_class.__name__} from this config: its values contradict each other, or "
            "it needs a library that isn't here. Send config.json as transformers saved it."
        ) from error
    return skeleton


def _filled(model_class: type["PreTrainedModel"], config: "PretrainedConfig", material: Material) -> "PreTrainedModel":
    model: PreTrainedModel
    try:
        model, report = model_class.from_pretrained(
            None,
            config=config,
            state_dict=dict(material.weights),
            attn_implementation="eager",
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise malformed(f"transformers can't load these weights into a {model_class.__name__}. {ADVICE}") from error
    _refuse_what_does_not_fit(report)
    return model


def _refuse_what_does_not_fit(report: dict[str, Any]) -> None:
    """Of the library's report only what is there counts: it knows which weights are tied and which no file holds."""
    missing = sorted(name for name in report["missing_keys"] if not name.endswith("num_batches_tracked"))
    unexpected = sorted(report["unexpected_keys"])
    misshapen = {name: (file, place) for name, file, place in sorted(report["mismatched_keys"])}
    if missing or unexpected or misshapen:
        raise does_not_fit(missing, unexpected, misshapen, ADVICE)

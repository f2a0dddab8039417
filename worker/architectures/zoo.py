"""A network of timm or torchvision by its name, from the extra `zoo`.

Only names that the library's own list has, never with its pretrained weights: nothing is fetched.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from app.core.architectures import ZooArchitecture
from app.core.errors import Invalid
from app.core.inputs import InputSpec
from worker.architectures import Material, build, untrained
from worker.architectures.by_name import ByName
from worker.architectures.fit import check_fit, malformed, shapes_of, widened, with_counters

Make = Callable[[], nn.Module]

_IMAGE_SIZES = (224, 256, 299, 384, 518, 32)
_NAMES_SHOWN = 5


@build.register
def _(architecture: ZooArchitecture, material: Material) -> nn.Module:
    make = _MAKERS[architecture.source](architecture)
    expected = _made(architecture, lambda: _skeleton(make)).state_dict()
    weights = with_counters(material.weights, expected)
    check_fit(
        shapes_of(expected),
        shapes_of(weights),
        f"Give the `arguments` that {architecture.name} was made with, such as its number of classes.",
    )
    network = _made(architecture, make)
    network.load_state_dict({name: widened(tensor) for name, tensor in weights.items()}, assign=True)
    return _by_name(network)


@untrained.register
def _(architecture: ZooArchitecture) -> nn.Module:
    return _by_name(_made(architecture, _MAKERS[architecture.source](architecture)))


def _by_name(network: nn.Module) -> nn.Module:
    return ByName(network.requires_grad_(True), ["x"], list(_guesses(network))).eval()


def _made(architecture: ZooArchitecture, make: Make) -> nn.Module:
    try:
        return make()
    except Exception as error:
        raise malformed(
            f"{architecture.source} can't make {architecture.name} with the arguments {architecture.arguments}: one is "
            "unknown, or of the wrong kind. Give those that it was made with."
        ) from error


def _skeleton(make: Make) -> nn.Module:
    """Without memory for its parameters: what doesn't fit the file is never allocated."""
    try:
        with torch.device("meta"):
            return make()
    except NotImplementedError:  # it reads numbers back from tensors while it is made
        hook = register_module_parameter_registration_hook(_without_memory)
        try:
            return make()
        finally:
            hook.remove()


def _without_memory(_module: nn.Module, _name: str, parameter: Any) -> Any:
    return parameter if parameter is None else nn.Parameter(parameter.to("meta"), parameter.requires_grad)


def _from_timm(architecture: ZooArchitecture) -> Make:
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import timm
    except ImportError as error:
        raise _unavailable("timm") from error
    if not timm.is_model(architecture.name):
        raise _unknown(architecture, timm.list_models(f"*{architecture.name[:6]}*"))
    return lambda: _module(timm.create_model(architecture.name, pretrained=False, **architecture.arguments))


def _from_torchvision(architecture: ZooArchitecture) -> Make:
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:  # it fails so beside another build of torch than its own
        raise _unavailable("torchvision") from error
    names = models.list_models(module=models)
    if architecture.name not in names:
        raise _unknown(architecture, [name for name in names if name.startswith(architecture.name[:6])])
    return lambda: _module(models.get_model(architecture.name, weights=None, **architecture.arguments))


_MAKERS: dict[str, Callable[[ZooArchitecture], Make]] = {"timm": _from_timm, "torchvision": _from_torchvision}


def _module(made: Any) -> nn.Module:
    assert isinstance(made, nn.Module)
    return made


def _guesses(network: nn.Module) -> Iterator[tuple[InputSpec, ...]]:
    """The library's own record of the image first; it may be of another size than the network was made for."""
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
    channels = first.in_channels if isinstance(first, nn.Conv2d) else 3
    recorded = getattr(network, "pretrained_cfg", {}).get("input_size")
    patches = getattr(getattr(network, "patch_embed", None), "img_size", None)
    sizes = [tuple(size) for size in (patches, recorded and recorded[1:]) if size]
    for height, width in [*sizes, *((size, size) for size in _IMAGE_SIZES)]:
        yield (InputSpec(name="x", shape=("batch", channels, height, width)),)


def _unknown(architecture: ZooArchitecture, similar: list[str]) -> Invalid:
    known = f" It has {', '.join(similar[:_NAMES_SHOWN])}." if similar else ""
    return malformed(f"{architecture.source} has no image network {architecture.name}.{known}")


def _unavailable(library: str) -> Invalid:
    return Invalid(
        f'This worker has no {library}. Have it installed with the extra zoo: pip install "modelpress[worker,zoo]", in '
        "an environment whose torch and torchvision are of one build.",
        code="architecture_unavailable",
        title="This architecture can't be built here",
    )

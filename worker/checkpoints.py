"""A network between two steps, written so that another child can go on from there; nothing of it is pickled.

Quantized networks are not written: what they will be in a file is partly in functions that wait for that file. Nor
are those that keep the upload's own forward, nor weights without a network, on which no step takes long.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from app.core.recipes import Step
from app.core.tasks import Checkpoint, StepTiming, WrittenFile
from worker.exporting.load_network import load_network
from worker.exporting.state_dict import export_state_dict
from worker.network import Network

WORTH_KEEPING_SECONDS = 1.0
FOLDER = "outputs"


def can_be_kept(network: Network) -> bool:
    return network.runs and not network.keeps_its_forward and all(step.stage != "quantize" for step in network.steps)


def is_worth_keeping(seconds: float) -> bool:
    """`seconds` were spent on steps since the last checkpoint: what took less is as quickly done again."""
    return seconds >= WORTH_KEEPING_SECONDS


def write_checkpoint(
    network: Network, folder: Path, files: Sequence[WrittenFile], timings: Sequence[StepTiming], warnings: Sequence[str]
) -> Checkpoint:
    """`files` are those of steps; the last one was written from `network`. Raises `Problem` where the network can't
    be described."""
    weights = f"{FOLDER}/checkpoint-{len(network.steps)}.safetensors"
    description, _loader = export_state_dict(network, folder / weights)
    return Checkpoint(
        steps_done=len(network.steps),
        weights=weights,
        description=f"{FOLDER}/{description.name}",
        names=_names_in(network.module),
        inputs=network.inputs,
        files=tuple(files),
        timings=tuple(timings),
        warnings=tuple(warnings),
    )


def read_checkpoint(checkpoint: Checkpoint, folder: Path, steps: Sequence[Step], upload: Network) -> Network:
    """`steps` are all that the recipe has; what steps don't change is as `upload` has it."""
    module = load_network(folder / checkpoint.description, folder / checkpoint.weights)
    for tensor in (*module.parameters(), *module.buffers()):
        # A mapped file's memory may be aligned otherwise than torch's own, and kernels may then add in another order.
        tensor.data = tensor.data.clone()
    _put_in_order(module, checkpoint.names)
    done = tuple(steps[: checkpoint.steps_done])
    return replace(upload, module=module, inputs=checkpoint.inputs, steps=done)


def _names_in(module: nn.Module) -> tuple[str, ...]:
    return (*(name for name, _ in module.named_modules()), *module.state_dict())


def _put_in_order(module: nn.Module, names: Sequence[str]) -> None:
    """A step that goes through layers or tensors, drawing numbers or adding up, must meet them as it would have."""
    places = {name: place for place, name in enumerate(names)}
    for path, each in list(module.named_modules()):
        prefix = f"{path}." if path else ""
        for members in (each._modules, each._parameters, each._buffers):
            ordered = sorted(members, key=lambda name: places.get(prefix + name, len(places)))
            sorted_members = {name: members[name] for name in ordered}
            members.clear()
            members.update(sorted_members)

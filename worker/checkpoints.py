"""A network between two steps, written so that another child can go on from there; nothing of it is pickled.

Quantized networks are not written: what they will be in a file is partly in functions that wait for that file. Nor
are those that keep the upload's own forward.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.core.recipes import Step
from app.core.tasks import Checkpoint, StepTiming, WrittenFile
from worker.exporting.load_network import load_network
from worker.exporting.state_dict import export_state_dict
from worker.network import Network

WORTH_KEEPING_SECONDS = 1.0
FOLDER = "outputs"


def is_worth_keeping(network: Network, seconds: float) -> bool:
    """`seconds` were spent on steps since the last checkpoint: what took less is as quickly done again."""
    if network.keeps_its_forward or any(step.stage == "quantize" for step in network.steps):
        return False
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
    done = tuple(steps[: checkpoint.steps_done])
    return replace(upload, module=module, inputs=checkpoint.inputs, steps=done)

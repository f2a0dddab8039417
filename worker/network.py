"""The editable network: what every upload becomes, every technique changes and every exporter writes."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from app.core.errors import Invalid
from app.core.facts import Blocker, PartFacts
from app.core.inputs import Inputs, InputSpec
from app.core.measurements import OutputFormat
from app.core.recipes import Step
from worker.archives.module import ArchiveModule
from worker.archives.part import Arguments, Part
from worker.inputs import random_inputs
from worker.packing.packed import Packed
from worker.weights_alone import WeightsAlone

FileChange = Callable[[Path, Path], None]
ModuleChange = Callable[[fx.GraphModule], fx.GraphModule]


@dataclass(frozen=True)
class Network:
    """`module` takes the inputs in order and answers with a tensor or a flat tuple of tensors; its parameters can be
    trained and bear the upload's names.

    `arguments` are all that the upload takes, where plain numbers go with `inputs`.

    Where the upload keeps its own forward, because that can't be rebuilt, `module` is an `ArchiveModule`: it runs, has
    layers and parameters and can be trained, but has no graph. What works on graphs goes through `parts`, which a
    rebuilt network has one of. Of weights without a network, `module` is `WeightsAlone`: it has layers and parameters,
    and nothing else; there are no inputs.

    `calls` are examples of what `module` takes, by the size of their batch, where that isn't `inputs`.

    `blocked_by` says what stands in the way of rebuilding it, `looked_at` which of its submodules were.

    `upload_sha256` is of the file as it was sent.

    `widened` says that the upload's half precision became float32, so that the upload itself takes other inputs.
    `warnings` tell its owner what the rebuilt network no longer does.

    A technique that works on a written file (int8 by a runtime's own quantizer) leaves `module` as it is and adds to
    `after_export`: functions of a source and a target path, run in order when that format is written. In TorchScript
    int8 is layers of torch: `before_tracing` are functions that put them into a copy of a module. `packed` has, by
    their names, the parameters that TorchScript archives and state dicts hold in fewer bits; those in `module` are what
    they unpack to.
    """

    module: fx.GraphModule
    inputs: tuple[InputSpec, ...]
    steps: tuple[Step, ...] = ()
    widened: bool = False
    warnings: tuple[str, ...] = ()
    arguments: Inputs = ()
    blocked_by: tuple[Blocker, ...] = ()
    looked_at: tuple[PartFacts, ...] = ()
    calls: Mapping[int, Arguments] | None = None
    after_export: Mapping[OutputFormat, tuple[FileChange, ...]] = field(default_factory=dict)
    before_tracing: tuple[ModuleChange, ...] = ()
    packed: Mapping[str, Packed] = field(default_factory=dict)
    upload_sha256: str | None = None

    def changed_after_export(self, output_format: OutputFormat, change: FileChange) -> "Network":
        changes = (*self.after_export.get(output_format, ()), change)
        return replace(self, after_export={**self.after_export, output_format: changes})

    def changed_file(self, output_format: OutputFormat, source: Path, folder: Path) -> Path:
        """What the steps make of an exported file: each reads one, and writes the next into `folder`."""
        for number, change in enumerate(self.after_export.get(output_format, ()), start=1):
            target = folder / f"{number}{source.suffix}"
            change(source, target)
            source = target
        return source

    def changed_before_tracing(self, change: ModuleChange) -> "Network":
        return replace(self, before_tracing=(*self.before_tracing, change))

    def quantized_in(self, output_format: OutputFormat) -> bool:
        in_torch = output_format == "torchscript" and self.before_tracing
        return bool(self.after_export.get(output_format) or self.packed or in_torch)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The graphs that can be edited, each with examples of what it takes."""
        if isinstance(self.module, ArchiveModule):
            return self.module.parts
        calls = self.calls or {batch: random_inputs(self.inputs, batch, seed=batch) for batch in (1, 2, 5)}
        return (Part("", self.module, calls),)

    def with_part(self, path: str, module: fx.GraphModule) -> "Network":
        if not isinstance(self.module, ArchiveModule):
            return replace(self, module=module)
        whole = deepcopy(self.module)
        whole.put_part(path, module)
        return replace(self, module=cast(fx.GraphModule, whole))

    @property
    def keeps_its_forward(self) -> bool:
        return isinstance(self.module, ArchiveModule)

    @property
    def runs(self) -> bool:
        return not isinstance(self.module, WeightsAlone)

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs in inference, flattened."""
        with torch.inference_mode():
            return tensors_in(self.module(*inputs))

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.module.parameters())

    @property
    def nonzero_parameters(self) -> int:
        return sum(int(torch.count_nonzero(parameter)) for parameter in self.module.parameters())


def tensors_in(outputs: object) -> tuple[Tensor, ...]:
    """The tensors of a tensor or of nested tuples, lists and dicts, in order."""
    leaves = [leaf for leaf in tree_leaves(outputs) if leaf is not None]
    if not leaves or not all(isinstance(leaf, Tensor) for leaf in leaves):
        raise Invalid(
            "The network's answer holds something else than tensors. Give it a forward() that returns a tensor, or "
            "tuples, lists or dicts of tensors, and upload it again.",
            code="outputs_unsupported",
            title="The network's outputs can't be handled",
        )
    return tuple(leaves)


def with_flat_outputs(module: fx.GraphModule) -> fx.GraphModule:
    """Rewrites the graph in place so that it answers with a tensor or a flat tuple of tensors."""
    output = next(node for node in module.graph.nodes if node.op == "output")
    leaves = tuple(leaf for leaf in tree_leaves(output.args[0]) if isinstance(leaf, fx.Node))
    output.args = (leaves[0] if len(leaves) == 1 else leaves,)
    module.recompile()
    return module


def layers_of(module: nn.Module) -> dict[str, nn.Module]:
    """The layers by name: modules that compute by themselves, not the containers around them."""
    return {
        name: layer
        for name, layer in module.named_modules()
        if (name or isinstance(layer, WeightsAlone))
        and type(layer) is not nn.Module
        and (not any(layer.children()) or any(True for _ in layer.parameters(recurse=False)))
    }

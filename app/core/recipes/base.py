"""What every step has in common.

A technique is one class here and one file in `worker/techniques`. The class carries what can be known before
running, so that a recipe that can't work is refused before it is queued.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from app.core.expected import ExpectedLayer, ExpectedNetwork
from app.core.facts import EVERY_FORMAT, MATRICES, ArrayFacts, ModelFacts, ModelInspection
from app.core.measurements import OutputFormat
from app.core.schemas import Schema

Stage = Literal["prepare", "prune", "recover", "quantize"]
Control = Literal["random", "magnitude"]
STAGES: tuple[Stage, ...] = ("prepare", "prune", "recover", "quantize")

Pattern = Annotated[str, Field(min_length=1, max_length=200, examples=["conv1", "encoder.*"])]


class StepBase(Schema):
    """A technique with its parameters. `exclude` and `only` are shell-style patterns of layer names."""

    stage: ClassVar[Stage]
    needs_data: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    needs_network: ClassVar[bool] = True
    """Whether it has to run the network or to know how its layers are joined, and not only values of weights."""
    needs_editable_graph: ClassVar[bool] = True
    edits_parts: ClassVar[bool] = False
    """Whether it can work on `Network.parts` one by one, where the network as a whole can't be edited."""
    formats: ClassVar[tuple[OutputFormat, ...]] = EVERY_FORMAT
    summary: ClassVar[str]

    exclude: tuple[Pattern, ...] = Field((), description="Layers left alone.")
    only: tuple[Pattern, ...] = Field((), description="If given, no other layer is touched.")

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the models that the step works with, beside the job's own: `run.network_of(id)` loads one."""
        return ()

    def held_by(self) -> tuple[OutputFormat, ...]:
        """Of `formats`, those that can hold it with these parameters."""
        return self.formats

    def must_have_data(self) -> bool:
        """With these parameters."""
        return self.needs_data

    def needs_data_because(self, facts: ModelFacts | None) -> str | None:  # noqa: ARG002
        """Why it can't work without data on such a model, or None where it can; `facts` are None until known."""
        return "it learns from data" if self.must_have_data() else None

    def must_have_labels(self) -> bool:
        """With these parameters."""
        return self.needs_labels

    def unfit_for(self, facts: ModelFacts) -> str | None:  # noqa: ARG002
        """Why these parameters can't work on a model that the technique is available for, or None where they can."""
        return None

    def unfit_for_models(self, own: ModelInspection, named: Mapping[str, ModelInspection]) -> str | None:  # noqa: ARG002
        """Why the job's own model and those that the step names, by id, don't go together, or None where they do."""
        return None

    def unfit_for_data(self, arrays: Mapping[str, ArrayFacts]) -> str | None:  # noqa: ARG002
        """Why these parameters can't work on a data set of such arrays, or None where they can."""
        return None

    def as_control(self, control: Control) -> "StepBase | None":  # noqa: ARG002
        """The step that removes as much, but at random or by plain magnitude; None for steps that have no such."""
        return None

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        """What the step is expected to leave of a network, told from numbers alone; here, all of it."""
        return network

    def epochs_at_most(self) -> int:
        """Of training."""
        return 0

    def touches(self, layer: ExpectedLayer) -> bool:
        """By `only` and `exclude`."""
        chosen = not self.only or _matches(layer.name, self.only)
        return chosen and not _matches(layer.name, self.exclude)

    @classmethod
    def unavailable_because(cls, facts: ModelFacts) -> str | None:
        """Why this technique can't work on such a model, or None where it can."""
        return cls._out_of_reach(facts) or cls.missing_layers(facts)

    @classmethod
    def _out_of_reach(cls, facts: ModelFacts) -> str | None:
        if cls.needs_network and not facts.runs:
            return "it needs the network that the weights belong to; see `blocked_by`"
        if cls.needs_editable_graph and facts.editable != "whole" and not cls.edits_parts:
            return "it needs a network that can be edited as a whole; see `blocked_by`"
        if cls.needs_editable_graph and facts.editable == "no":
            return "it needs a network of which a part can be edited; see `blocked_by`"
        if not set(cls.formats) & set(facts.outputs):
            return f"it is written as {' or '.join(cls.formats)}, and the model can't be"
        return None

    @classmethod
    def missing_layers(cls, facts: ModelFacts) -> str | None:
        return None if facts.parameters else "the model has no weights"


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def missing_matrices(facts: ModelFacts) -> str | None:
    """Why what works on weights of two dimensions and more can't; known in advance where tensors are all there is."""
    if not facts.parameters:
        return "the model has no weights"
    if not facts.runs and MATRICES not in facts.layer_types():
        return "no tensor of the file has two dimensions, and biases and norms stay as they are"
    return None

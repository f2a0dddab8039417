"""A recipe as a caller writes it, and the checks that need no running."""

from collections.abc import Mapping, Sequence

from pydantic import Field, model_validator

from app.core.errors import Invalid
from app.core.facts import ArrayFacts, ModelFacts, ModelInspection, Task
from app.core.measurements import OutputFormat
from app.core.recipes import STAGES, TECHNIQUES, Step
from app.core.recipes.presets import PRESETS, PresetName
from app.core.schemas import Schema


class Recipe(Schema):
    """Either `preset` or `steps`."""

    preset: PresetName | None = Field(None, examples=["fast"])
    steps: tuple[Step, ...] | None = Field(None, max_length=32)

    @model_validator(mode="after")
    def _has_one_form(self) -> "Recipe":
        if (self.preset is None) == (self.steps is None):
            raise ValueError("give either `preset` or `steps`")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the models that steps name, each once."""
        return tuple(dict.fromkeys(model for step in self.steps or () for model in step.models))

    def resolved(self, facts: ModelFacts, outputs: Sequence[OutputFormat], *, has_data: bool) -> tuple[Step, ...]:
        """The steps to run: those given, or the preset's for this model."""
        if self.steps is not None:
            return self.steps
        assert self.preset is not None
        return PRESETS[self.preset].steps(facts, outputs, has_data=has_data)

    def warnings(self, facts: ModelFacts, outputs: Sequence[OutputFormat], *, has_data: bool) -> tuple[str, ...]:
        return PRESETS[self.preset].warnings(facts, outputs, has_data=has_data) if self.preset else ()


def check_order(steps: Sequence[Step]) -> None:
    """prepare, prune and recover may repeat in any order; after the first quantize step only those follow."""
    quantized_by: str | None = None
    for position, step in enumerate(steps):
        if step.stage == "quantize":
            quantized_by = step.technique
        elif quantized_by is not None:
            raise Invalid(
                f"Step {position} ({step.technique}, stage {step.stage}) comes after {quantized_by}, and a quantized "
                f"network can't be changed any more. Put steps in the order {' < '.join(STAGES)}.",
                code="recipe_order",
                title="The steps are in an order that can't work",
                step=position,
            )


def check_outputs(steps: Sequence[Step], outputs: Sequence[OutputFormat]) -> None:
    for position, step in enumerate(steps):
        held_by = step.held_by()
        missing = [name for name in outputs if name not in held_by]
        if missing:
            parameters = " with these parameters" if missing[0] in step.formats else ""
            raise Invalid(
                f"{step.technique}{parameters} can't be held by the format {missing[0]}. "
                f"Ask for one of: {', '.join(held_by)}.",
                code="output_unavailable",
                title="A technique can't be written in this format",
                step=position,
            )


def check_data(
    steps: Sequence[Step], task: Task | None, arrays: Mapping[str, ArrayFacts], facts: ModelFacts | None = None
) -> None:
    """`task` is the data set's, or None where there is no data set; `facts` are the model's, or None until they are
    known."""
    for position, step in enumerate(steps):
        missing = step.needs_data_because(facts) if task is None else None
        if missing is not None:
            raise Invalid(
                f"The job names no data set, and {step.technique} needs one: {missing}. Upload one with "
                "POST /v1/datasets and name it in `dataset`, or leave the step out.",
                code="dataset_required",
                title="A step needs data",
                step=position,
            )
        if step.must_have_labels() and task == "unlabelled":
            raise Invalid(
                f"{step.technique} needs labels, and the data set has none. Add `y_train` and `y_test`.",
                code="labels_required",
                title="A step needs labels",
                step=position,
            )
        reason = step.unfit_for_data(arrays) if task is not None else None
        if reason is not None:
            raise Invalid(
                f"{step.technique} can't work on this data set: {reason}.",
                code="data_does_not_fit",
                title="A step doesn't fit the data set",
                step=position,
            )


def _in_the_way(facts: ModelFacts) -> str:
    return ", ".join(f"{blocker.operator} at {blocker.where or 'the top'}" for blocker in facts.blocked_by)


def check_editable(facts: ModelFacts, outputs: Sequence[OutputFormat]) -> None:
    """What can be written in no format can't be compressed."""
    blockers = "; ".join(f"{blocker.operator} at {blocker.where}: {blocker.advice}" for blocker in facts.blocked_by)
    missing = [name for name in outputs if name not in facts.outputs]
    if facts.outputs and facts.editable == "whole" and missing:
        raise Invalid(
            f"The worker that inspected this model can't write {missing[0]}. Install its extra there (pip install "
            f"'modelpress[{missing[0]}]') and upload the model again, or ask for one of: {', '.join(facts.outputs)}.",
            code="output_unavailable",
            title="The worker can't write this format",
        )
    if facts.outputs and missing:
        kept = f"keeps its own forward ({_in_the_way(facts)})" if facts.runs else "is weights without their network"
        raise Invalid(
            f"The model {kept}, which can't be written as {missing[0]}. Ask for one of: {', '.join(facts.outputs)}.",
            code="output_unavailable",
            title="The model can't be written in this format",
        )
    if facts.outputs:
        return
    raise Invalid(
        f"The model can't be edited ({blockers or 'see `blocked_by` in its facts'}).",
        code="not_editable",
        title="The model can't be edited",
    )


def check_runs(facts: ModelFacts) -> None:
    if not facts.runs:
        raise Invalid(
            "The model is weights without their network, and answers nothing. "
            + " ".join(blocker.advice for blocker in facts.blocked_by),
            code="architecture_required",
            title="The model has no network",
        )


def check_models(steps: Sequence[Step], own: ModelInspection, named: Mapping[str, ModelInspection]) -> None:
    """`own` is the job's model, `named` are those that steps name."""
    for position, step in enumerate(steps):
        reason = step.unfit_for_models(own, {model: named[model] for model in step.models})
        if reason is not None:
            raise Invalid(
                f"{step.technique} can't work with the models that it names: {reason}.",
                code="models_do_not_fit",
                title="A step's models don't go together",
                step=position,
            )


def check_facts(steps: Sequence[Step], facts: ModelFacts) -> None:
    for position, step in enumerate(steps):
        reason = TECHNIQUES[step.technique].unavailable_because(facts)
        if reason is not None:
            raise Invalid(
                f"{step.technique} is not available for this model: {reason}. The model's `facts.techniques` "
                "lists those that are.",
                code="technique_unavailable",
                title="A technique doesn't fit the model",
                step=position,
            )
        reason = step.unfit_for(facts)
        if reason is not None:
            raise Invalid(
                f"{step.technique} can't work on this model with these parameters: {reason}.",
                code="technique_unavailable",
                title="A technique doesn't fit the model",
                step=position,
            )

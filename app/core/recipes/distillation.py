"""Training a changed network, or a smaller one, to answer as its teacher does."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from app.core.architectures import LayersArchitecture, TransformersArchitecture, ZooArchitecture
from app.core.expected import ExpectedNetwork
from app.core.facts import ModelInspection
from app.core.inputs import tensor_inputs
from app.core.recipes.base import StepBase
from app.core.recipes.structured_pruning import thinned
from app.core.recipes.training import TrainingOptions
from app.core.schemas import Schema

ModelId = Annotated[str, Field(pattern=r"^model_[a-z0-9]{1,34}$", examples=["model_01m80bjn7szr66tvtq9p5t"])]


class ThinStudent(Schema):
    """The upload with this fraction of each layer's width taken away."""

    thin: float = Field(gt=0, lt=1, examples=[0.5])


class UploadedStudent(Schema):
    """Another model, with the weights that it was uploaded with."""

    model: ModelId


class NewStudent(Schema):
    """A network without weights: it begins with random ones."""

    architecture: Annotated[
        LayersArchitecture | TransformersArchitecture | ZooArchitecture, Field(discriminator="source")
    ]


def _difference(teacher: ModelInspection, student: ModelInspection) -> str | None:
    taken = [[spec.shape for spec in tensor_inputs(model.inputs or ())] for model in (teacher, student)]
    if len(taken[0]) != len(taken[1]) or not all(map(_may_be_equal, *taken)):
        return f"the teacher takes inputs of the shapes {taken[0]}, the student {taken[1]}"
    answers = teacher.facts.answers, student.facts.answers
    if None not in answers and answers[0] != answers[1]:
        return f"for one example the teacher answers the shapes {answers[0]}, the student {answers[1]}"
    return None


def _may_be_equal(one: Sequence[int | str], other: Sequence[int | str]) -> bool:
    """A name is a size that is free."""
    sizes = zip(one, other, strict=False)
    return len(one) == len(other) and all(isinstance(a, str) or isinstance(b, str) or a == b for a, b in sizes)


class Distillation(TrainingOptions, StepBase):
    """Trains a student on its teacher's answers, softened by `temperature` (Hinton et al., 2015), and on labels where
    there are some.

    The teacher is the upload as it was, and the student the network as the steps before have left it, unless others
    are named.
    """

    stage = "recover"
    needs_data = True
    summary: ClassVar[str] = "Trains on the answers of the upload, with or without labels: brings back what was lost."

    technique: Literal["distillation"] = "distillation"
    temperature: float = Field(4.0, gt=0, le=1000, description="Above 1, the teacher's second thoughts count more.")
    alpha: float = Field(0.5, ge=0, le=1, description="Weight of the teacher's answers beside labels.")
    labels: Literal["auto", "true", "teacher", "none"] = Field(
        "auto",
        description="The data set's own, the teacher's choices in their place, or none; auto: if there are some.",
    )
    teacher: Literal["upload"] | ModelId = "upload"
    student: Literal["current"] | ThinStudent | UploadedStudent | NewStudent = "current"
    start: Literal["weights", "scratch"] = Field("weights", description="Go on from the student's weights, or anew.")
    hints: bool = Field(False, description="Teach intermediate values, too (FitNets).")
    attention: bool = Field(False, description="Teach where layers look, too (attention transfer).")
    relational: bool = Field(False, description="Teach distances and angles between examples, too.")
    progressive: bool = Field(False, description="Train stage by stage, from the input to the answers.")

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        if isinstance(self.student, ThinStudent):
            return thinned(network, self.student.thin)
        if self.student != "current":
            return network.guessing("how large the student is; it was taken to be as large as the network")
        return network

    @property
    def models(self) -> tuple[str, ...]:
        named = (self.teacher, self.student.model if isinstance(self.student, UploadedStudent) else "upload")
        return tuple(model for model in named if model != "upload")

    def unfit_for_models(self, own: ModelInspection, named: Mapping[str, ModelInspection]) -> str | None:
        for model, inspection in named.items():
            if inspection.facts.editable != "whole":
                return f"{model} can't be edited as a whole; see `blocked_by` in its facts"
        teacher = own if self.teacher == "upload" else named[self.teacher]
        student = named[self.student.model] if isinstance(self.student, UploadedStudent) else own
        return _difference(teacher, student) if not isinstance(self.student, NewStudent) else None

    def must_have_labels(self) -> bool:
        return self.labels == "true"

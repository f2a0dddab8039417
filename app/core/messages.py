"""What a child says, as JSON lines, while it works on its task."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from app.core.errors import ProblemBody
from app.core.measurements import Epoch
from app.core.schemas import Schema
from app.core.tasks import Checkpoint


class Progress(Schema):
    """`fraction` of this child's work, `step` the index of the recipe's step where there is one."""

    type: Literal["progress"] = "progress"
    fraction: float = Field(ge=0, le=1)
    message: str = Field(max_length=500)
    step: int | None = None


class Warn(Schema):
    type: Literal["warning"] = "warning"
    message: str = Field(max_length=2000)


class EpochEnded(Schema):
    """`step` is the index of the step that trains."""

    type: Literal["epoch"] = "epoch"
    step: int
    epoch: Epoch


class CheckpointWritten(Schema):
    type: Literal["checkpoint"] = "checkpoint"
    checkpoint: Checkpoint


class Done(Schema):
    """The last line of a child that succeeded. `answer` is checked against the task's schema by the supervisor."""

    type: Literal["done"] = "done"
    answer: dict[str, object]


class Failed(Schema):
    """The last line of a child that ended with a reason."""

    type: Literal["failed"] = "failed"
    problem: ProblemBody


Message = Annotated[Progress | Warn | EpochEnded | CheckpointWritten | Done | Failed, Field(discriminator="type")]
MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)

"""What can go wrong, as one exception tree.

    Problem                 anything a caller is told about (status, code, title, detail)
      NotFound              404
      Conflict              409
      TooLarge              413
      Invalid               422
      Unauthorized          401
      Forbidden             403
      Busy                  503, worth trying again
      OutOfSpace            507

A `detail` says what is wrong, where, and what to do next; it never carries another library's text.
The same class travels from a worker's child (as `ProblemBody`) to a job's `error` and to an HTTP answer.
"""

from collections.abc import Sequence
from typing import ClassVar

from app.core.schemas import Schema


class FieldError(Schema):
    """One wrong place in a request: `where` is a path such as `recipe.steps.0.sparsity`."""

    where: str
    message: str


class ProblemBody(Schema):
    """A problem as it is kept in the database and shown in a job, a model or a data set."""

    code: str
    title: str
    detail: str
    step: int | None = None


class Problem(Exception):
    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal_error"
    default_title: ClassVar[str] = "The service failed"
    retry: ClassVar[bool] = False
    """Whether the same work may succeed when it is done again."""

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        title: str | None = None,
        errors: Sequence[FieldError] = (),
        step: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.title = title or self.default_title
        self.errors = tuple(errors)
        self.step = step
        self.retry_after = retry_after

    def body(self) -> ProblemBody:
        return ProblemBody(code=self.code, title=self.title, detail=self.detail, step=self.step)


class NotFound(Problem):
    status, default_code, default_title = 404, "not_found", "There is no such thing here"


class Conflict(Problem):
    status, default_code, default_title = 409, "conflict", "The request doesn't fit the current state"


class TooLarge(Problem):
    status, default_code, default_title = 413, "too_large", "The body is too large"


class Invalid(Problem):
    status, default_code, default_title = 422, "invalid", "The request can't be carried out as it stands"


class Unauthorized(Problem):
    status, default_code, default_title = 401, "unauthorized", "A valid key is needed"


class Forbidden(Problem):
    status, default_code, default_title = 403, "forbidden", "This is not allowed"


class Busy(Problem):
    status, default_code, default_title = 503, "busy", "The service is busy"
    retry = True


class OutOfSpace(Problem):
    status, default_code, default_title = 507, "out_of_space", "The disk is full"

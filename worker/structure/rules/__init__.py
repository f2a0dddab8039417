"""What operators do to the marks of dimensions, one file for each family; importing this package registers all."""

from worker.structure.rules import (  # noqa: F401
    attention,
    convolution,
    elementwise,
    embedding,
    linear,
    normalization,
    recurrent,
    reduction,
    reshaping,
    selecting,
    spatial,
)

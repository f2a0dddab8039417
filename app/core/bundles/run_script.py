"""run.py of a bundle: loads the file with its own runtime, and compares what it answers with the sample."""

from collections.abc import Sequence

from app.core.bundles.templates import template
from app.core.inputs import Input, NumberInput
from app.core.instructions import WANTED
from app.core.measurements import ArtifactResult
from app.core.reports.running import WAYS, loading, setting

# Of the largest expected answer, or of 1 where all are smaller. Sums of integer products are rounded in steps, and one
# step more or less is no fault.
TOLERANCE, INTEGER_TOLERANCE = 1e-3, 5e-2


def run_script(file: ArtifactResult, inputs: Sequence[Input]) -> str:
    """Nothing of what people call their uploads is in it; inputs are named by identifiers."""
    return template("run.py.j2").render(
        file=file.name,
        way=WAYS[file.format],
        setting=setting(file.engine),
        load=loading(file.name, file.format),
        given=[_given(spec) for spec in inputs],
        wanted=[(arithmetic, WANTED[arithmetic]) for arithmetic in file.arithmetic],
        tolerance=INTEGER_TOLERANCE if file.arithmetic else TOLERANCE,
    )


def _given(spec: Input) -> str:
    return repr(spec.value) if isinstance(spec, NumberInput) else f'torch.from_numpy(sample["input.{spec.name}"])'

"""After the child of a job of kind `sensitivity`: the report of what it found."""

import time
from pathlib import Path

from app.core.queue import Claim
from app.core.reports.sensitivity import SENSITIVITY_REPORT_KINDS, SensitivityReport, render_sensitivity
from app.core.sensitivities import Sensitivity, SensitivityOptions
from worker.job_folder import JobFolder


def write_sensitivity(claim: Claim, folder: JobFolder, seed: int, found: Sensitivity) -> dict[str, Path]:
    """The files to publish, by name."""
    assert folder.model is not None
    fields = {
        "job": claim.job,
        "request": SensitivityOptions(dataset=claim.dataset, seed=seed),
        "model_name": folder.model.name,
        "dataset_name": folder.dataset.name if folder.dataset else None,
        "created_at": claim.created_at,
        "started_at": claim.started_at,
        "finished_at": time.time(),
        "result": found,
    }
    report = SensitivityReport.model_validate(fields)
    for kind in SENSITIVITY_REPORT_KINDS:
        (folder.outputs / kind).write_text(render_sensitivity(report, kind), encoding="utf-8")
    return {kind: folder.outputs / kind for kind in SENSITIVITY_REPORT_KINDS}

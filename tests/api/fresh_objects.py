"""What a request is to act on, made anew for each one: the request before has ended it or deleted it."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from safetensors.numpy import save

from app.api.context import Context
from app.core import jobs
from app.core.ids import new_id
from app.core.keys import LOCAL
from app.core.studies import reading
from tests.core.rows import dataset_row, model_row
from tests.core.studies.finished import PRUNING, started, steps

JOB_OPTIONS = '{"recipe": {"steps": [{"technique": "magnitude_pruning"}]}, "outputs": ["state_dict"]}'


def unused_model(context: Context) -> str:
    with context.database.writing() as session:
        row = model_row(new_id("model"))
        session.add(row)
    return row.id


def unused_dataset(context: Context) -> str:
    with context.database.writing() as session:
        row = dataset_row(new_id("dataset"))
        session.add(row)
    return row.id


def waiting_job(context: Context) -> str:
    with context.database.writing() as session:
        return jobs.queue_row(session, jobs.new_row("local", "compress", {}, None, None)).id


def canceled_job(context: Context) -> str:
    return jobs.cancel(context.database, LOCAL, waiting_job(context)).id


def waiting_study(context: Context) -> str:
    return started(context.database, steps(PRUNING)).id


def canceled_study(context: Context) -> str:
    return reading.cancel(context.database, LOCAL, waiting_study(context)).id


ACTED_ON: dict[str, tuple[str, Callable[[Context], str]]] = {
    "DELETE /v1/models/{model_id}": ("model_id", unused_model),
    "DELETE /v1/datasets/{dataset_id}": ("dataset_id", unused_dataset),
    "DELETE /v1/jobs/{job_id}": ("job_id", canceled_job),
    "POST /v1/jobs/{job_id}/cancel": ("job_id", waiting_job),
    "DELETE /v1/studies/{study_id}": ("study_id", canceled_study),
    "POST /v1/studies/{study_id}/cancel": ("study_id", waiting_study),
}


def fresh_ids(context: Context, operation: str) -> dict[str, str]:
    if operation not in ACTED_ON:
        return {}
    name, make = ACTED_ON[operation]
    return {name: make(context)}


def weights_file() -> bytes:
    return save({"fc.weight": np.ones((2, 4), np.float32), "fc.bias": np.zeros(2, np.float32)})


def arrays_file() -> bytes:
    rows, labels, file = np.zeros((8, 4), np.float32), np.arange(8) % 2, BytesIO()
    np.savez(file, x_train=rows, y_train=labels, x_test=rows, y_test=labels)
    return file.getvalue()


FORMS: dict[str, dict[str, bytes | str]] = {
    "POST /v1/models": {"file": weights_file()},
    "POST /v1/datasets": {"file": arrays_file()},
    "POST /v1/jobs": {"file": weights_file(), "dataset_file": arrays_file(), "job": JOB_OPTIONS},
}

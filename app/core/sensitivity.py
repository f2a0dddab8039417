"""Jobs that ask how much each layer of a model matters."""

from app.core import datasets, models
from app.core.database import Database
from app.core.facts import ModelInspection
from app.core.jobs import Job, new_row, present, queue_row
from app.core.keys import Caller
from app.core.recipes.recipe import check_editable, check_runs
from app.core.sensitivities import SensitivityOptions
from app.core.submissions import Idempotency, earlier_job, refuse_rejected
from app.core.tables import DatasetRow, ModelRow


def submit_sensitivity(
    database: Database, caller: Caller, model_id: str, options: SensitivityOptions, idempotency: Idempotency | None
) -> Job:
    with database.writing() as session:
        row = earlier_job(session, caller, idempotency)
        if row is None:
            model = models.find(session, caller, model_id)
            dataset = datasets.named(session, caller, options.dataset)
            check(model, dataset)
            row = new_row(caller.id, "sensitivity", {"seed": options.seed}, model, dataset)
            if idempotency is not None:
                row.idempotency_key, row.idempotency_hash = idempotency.key, idempotency.hash
            queue_row(session, row)
        return present(row)


def check(model: ModelRow, dataset: DatasetRow | None) -> None:
    """What only the model's facts can tell is checked once they are there."""
    refuse_rejected(("model", model), ("data set", dataset))
    if model.inspection is not None:
        facts = ModelInspection.model_validate(model.inspection).facts
        check_runs(facts)
        check_editable(facts, ())

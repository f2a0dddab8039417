"""What an inspection found, written to the model or the data set that it was about."""

from app.core.database import Database
from app.core.errors import NotFound
from app.core.facts import DatasetFacts, ModelInspection
from app.core.networks import holds_weights_alone, missing_network
from app.core.queue import Claim, Queue
from app.core.tables import DatasetRow, ModelRow


def finish_model(database: Database, queue: Queue, claim: Claim, inspection: ModelInspection) -> None:
    """The model becomes `ready` and its inspection `succeeded`, together."""
    with database.writing() as session:
        row = session.get(ModelRow, claim.model)
        if row is None:
            raise NotFound(f"The model of {claim.job} was deleted while it was inspected.", code="model_deleted")
        queue.finish(session, claim, "succeeded", fraction=1.0)
        if holds_weights_alone(row):
            facts = inspection.facts.model_copy(update={"blocked_by": (missing_network(session, row),)})
            inspection = inspection.model_copy(update={"facts": facts})
        row.status, row.inspection = "ready", inspection.model_dump(mode="json")
        row.layout = row.layout or inspection.layout


def finish_dataset(database: Database, queue: Queue, claim: Claim, facts: DatasetFacts) -> None:
    """The data set becomes `ready` and its inspection `succeeded`, together."""
    with database.writing() as session:
        row = session.get(DatasetRow, claim.dataset)
        if row is None:
            raise NotFound(f"The data set of {claim.job} was deleted while it was inspected.", code="dataset_deleted")
        queue.finish(session, claim, "succeeded", fraction=1.0)
        row.status, row.facts = "ready", facts.model_dump(mode="json")

"""POST /v1/plans: a job's body, checked as a job's is, and what it would come to. Nothing is queued or kept."""

from sqlalchemy.orm import Session

from app.core import datasets, models
from app.core.database import Database
from app.core.errors import Conflict
from app.core.facts import ModelFacts, ModelInspection
from app.core.job_options import JobOptions, JobRequest
from app.core.keys import Caller
from app.core.plans.forecasting import Forecast, forecast
from app.core.plans.rates import Rates, learned_rates
from app.core.plans.schemas import Basis, Plan, PlannedStep
from app.core.plans.sizes import size_in
from app.core.submissions import check, named_models
from app.core.tables import DatasetRow, ModelRow
from app.core.wanted_files import WantedFiles, wanted_files


def plan_request(database: Database, caller: Caller, request: JobRequest) -> Plan:
    """Raises what submitting it would raise, and Conflict as long as the model or the data set is inspected."""
    with database.reading() as session:
        model = models.find(session, caller, request.model)
        dataset = datasets.named(session, caller, request.dataset)
        check(request, model, dataset, named_models(session, caller, request))
        _refuse_inspecting(model, dataset)
        facts = facts_of(model)
        wanted = wanted_files(request, facts, has_data=dataset is not None)
        rates = learned_rates(session, model.id)
        told = forecast(facts, wanted, request.minimize, _examples(dataset), rates)
        return _plan(request, facts, wanted, told, rates)


def forecast_of(
    session: Session, options: JobOptions, model: ModelRow, dataset: DatasetRow | None, wanted: WantedFiles
) -> Forecast:
    """Of a job whose model and data set were inspected."""
    rates = learned_rates(session, model.id)
    return forecast(facts_of(model), wanted, options.minimize, _examples(dataset), rates)


def facts_of(model: ModelRow) -> ModelFacts:
    return ModelInspection.model_validate(model.inspection).facts


def _examples(dataset: DatasetRow | None) -> int:
    """For training; as many as are held back from it for validation are run, too."""
    return 0 if dataset is None or not dataset.facts else int(dataset.facts["examples"]["train"])


def _refuse_inspecting(model: ModelRow, dataset: DatasetRow | None) -> None:
    for what, row in (("model", model), ("data set", dataset)):
        if row is not None and row.status == "inspecting":
            raise Conflict(
                f"The {what} {row.id} is still inspected, and a plan follows from what inspection finds. Ask again "
                "when its `status` is `ready`; a job can be submitted already.",
                code="still_inspecting",
                title=f"The {what} isn't ready",
            )


def _plan(request: JobRequest, facts: ModelFacts, wanted: WantedFiles, told: Forecast, rates: Rates) -> Plan:
    steps = tuple(
        PlannedStep(
            technique=step.technique,
            parameters=round(network.parameters),
            macs=None if facts.macs is None else round(network.macs),
            size_bytes=size_in(network, wanted.outputs[0]),
        )
        for step, network in zip(wanted.steps, told.networks, strict=True)
    )
    return Plan(
        model=request.model,
        dataset=request.dataset,
        steps=steps,
        predicted=told.prediction.predicted,
        files=told.prediction.files,
        basis=_basis(rates),
        warnings=tuple(f"The facts don't tell {guess}." for guess in told.guesses),
    )


def _basis(rates: Rates) -> Basis:
    learned = f"as fast as it usually was in jobs that succeeded here ({rates.learned_from} looked at, on this model if"
    rate = f"{learned} it has any)" if rates.learned_from else "at a usual rate, as no job has succeeded here yet"
    return Basis(
        parameters="By layer: a share removed of a layer's outputs is removed of the inputs of the next one, too.",
        macs="By layer, in proportion to its weights.",
        size_bytes="Weights times their bits, scales, and what the format says around them, as measured on small "
        "networks. Nothing is known of how well values would be compressed.",
        seconds=f"Training to its last epoch, {rate}; and for each file the time to write, measure and time it.",
        memory_mb="A process with torch in it, five copies of the weights, and in training a gradient, two moments of "
        "the optimizer and one batch's activations.",
    )

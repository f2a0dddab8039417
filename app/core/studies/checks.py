"""What is refused of a search before anything is queued."""

from app.core.budgets import Budget
from app.core.errors import FieldError, Invalid
from app.core.facts import ModelInspection
from app.core.studies.requests import Search
from app.core.tables import DatasetRow, ModelRow

# Of which each half has some.
FEWEST_TEST_EXAMPLES = 10


def check_search(search: Search, model: ModelRow, dataset: DatasetRow | None) -> None:
    """What isn't known yet of a model or a data set that is still inspected is left to its jobs."""
    if dataset is None:
        raise _no_data()
    facts = dataset.facts or {}
    if facts.get("task") in ("classification", "unlabelled"):
        _check_fraction(search.budget)
    if "examples" in facts and facts["examples"]["test"] < FEWEST_TEST_EXAMPLES:
        raise _too_few(facts["examples"]["test"])
    if model.inspection is not None and not ModelInspection.model_validate(model.inspection).facts.runs:
        raise empty_space()


def _no_data() -> Invalid:
    return Invalid(
        "The search has a budget, and no data set to check it by. Upload examples to `/v1/datasets` and name them as "
        "`dataset`. They need no labels: without, the budget is of agreement with the upload's own answers.",
        code="budget_without_data",
        title="A budget needs data",
        errors=[FieldError(where="dataset", message="is needed to check the budget; labels are not")],
    )


def _check_fraction(budget: Budget) -> None:
    if budget.max_quality_drop is not None and budget.max_quality_drop > 1:
        raise Invalid(
            f"`max_quality_drop` is {budget.max_quality_drop:g}, and accuracy and agreement are fractions: they can't "
            "fall by more than 1. One point is 0.01.",
            code="invalid_request",
            errors=[FieldError(where="search.budget.max_quality_drop", message="is a fraction: at most 1")],
        )


def _too_few(examples: int) -> Invalid:
    return Invalid(
        f"The data set has {examples} test examples. Half of them choose among trials and the other half checks the "
        f"choice: give at least {FEWEST_TEST_EXAMPLES}. To prove that no more than a point is lost takes hundreds.",
        code="too_few_examples",
        title="There are too few test examples",
        errors=[FieldError(where="dataset", message=f"has {examples} test examples")],
    )


def empty_space() -> Invalid:
    return Invalid(
        "There is nothing to search: the file holds weights without their network, which can't be run, so that neither "
        "time nor quality can be measured. Upload the network, too (see `blocked_by` in the model's facts), or compare "
        "recipes with `recipes`.",
        code="empty_search_space",
        title="The search space is empty",
    )

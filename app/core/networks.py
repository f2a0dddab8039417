"""Which network an upload's weights belong to: the file's own, the one its sender describes, one seen before, or
none that is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, not_, select
from sqlalchemy.orm import Session

from app.core.architectures import ARCHITECTURE, Architecture, ModelArchitecture
from app.core.errors import Invalid, ProblemBody
from app.core.facts import WEIGHTS_ONLY, Blocker
from app.core.tables import ModelRow

ArchitectureFrom = Literal["given", "recognized"]

_MOST_LOOKED_AT = 100


@dataclass(frozen=True)
class NetworkOfUpload:
    """`base` is the row of the model whose file holds the network. Without an architecture weights stay alone."""

    architecture: Architecture | None = None
    architecture_from: ArchitectureFrom | None = None
    base: ModelRow | None = None


def given_network(architecture: Architecture, named: ModelRow | None) -> NetworkOfUpload:
    """`named` is the row of the model that the architecture names."""
    if named is None:
        return NetworkOfUpload(architecture, "given")
    if named.status == "rejected":
        problem = ProblemBody.model_validate(named.problem)
        raise Invalid(
            f"The architecture names {named.id}, which was rejected: {problem.detail} Name a model that is ready.",
            code=problem.code,
            title="The model that the architecture names can't be used",
        )
    if holds_weights_alone(named):
        raise Invalid(
            f"The architecture names {named.id}, which holds weights without a network itself. {_WHAT_TO_SEND}",
            code="architecture_required",
            title="The model that the architecture names has no network",
        )
    found = _network_of(named)
    return NetworkOfUpload(found.architecture, "given", found.base)


def recognized_network(session: Session, owner: str, layout: str) -> NetworkOfUpload:
    """The network of the owner's earlier models with the same names and shapes, if they all are of the same one."""
    found = _networks_that_fit(session, owner, layout)
    if len(found) != 1:
        return NetworkOfUpload()
    network = _network_of(found[0])
    return NetworkOfUpload(network.architecture, "recognized", network.base)


def holds_weights_alone(row: ModelRow) -> bool:
    return row.format in WEIGHTS_ONLY and row.architecture is None


def missing_network(session: Session, row: ModelRow) -> Blocker:
    """What would make a network of weights that are alone."""
    found = _networks_that_fit(session, row.owner, row.layout or "")
    return Blocker(operator="forward", where="the file", advice=_advice([each.id for each in found]))


def _networks_that_fit(session: Session, owner: str, layout: str) -> list[ModelRow]:
    """One model of each, the newest networks first."""
    alone: ColumnElement[bool] = ModelRow.format.in_(WEIGHTS_ONLY) & ModelRow.architecture.is_(None)
    same = (ModelRow.owner == owner, ModelRow.layout == layout, ModelRow.status == "ready", not_(alone))
    rows = session.scalars(select(ModelRow).where(*same).order_by(ModelRow.id.desc()).limit(_MOST_LOOKED_AT))
    return list({_identity(row): row for row in rows}.values())


def _network_of(row: ModelRow) -> NetworkOfUpload:
    if row.format in WEIGHTS_ONLY:
        return NetworkOfUpload(ARCHITECTURE.validate_python(row.architecture), None, row.base)
    return NetworkOfUpload(ModelArchitecture(source="model", model=row.id), None, row)


def _identity(row: ModelRow) -> str:
    """Equal for rows that are surely of the same network."""
    file = row.base if row.format in WEIGHTS_ONLY else row
    return file.sha256 if file is not None else _canonical(row.architecture)


def _canonical(architecture: dict[str, Any] | None) -> str:
    return ARCHITECTURE.validate_python(architecture).model_dump_json()


_WHAT_TO_SEND = (
    'Send its `architecture` along: {"source": "layers", "layers": […]} for torch.nn layers, {"source": '
    '"transformers", "config": {…}} with its config.json, or {"source": "model", "model": "model_…"} for the '
    "network of an earlier upload. Or upload the network as TorchScript or .pt2."
)


def _advice(candidates: Sequence[str]) -> str:
    if not candidates:
        return f"The file holds weights without the network they belong to. {_WHAT_TO_SEND}"
    return (
        f"The weights fit {_counted(candidates)}: {', '.join(candidates[:5])}. Upload them again and say which in "
        f'`architecture`, for example {{"source": "model", "model": "{candidates[0]}"}}.'
    )


def _counted(candidates: Sequence[str]) -> str:
    return "one of your models" if len(candidates) == 1 else "several of your models, whose networks differ"

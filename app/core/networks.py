"""Which network an upload's weights belong to: the file's own, the one its sender describes, or one seen before."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.architectures import ARCHITECTURE, Architecture, ModelArchitecture
from app.core.errors import Invalid, ProblemBody
from app.core.facts import ModelFormat
from app.core.tables import ModelRow

ArchitectureFrom = Literal["given", "recognized"]

WEIGHTS_ONLY: frozenset[ModelFormat] = frozenset({"state_dict", "safetensors"})
_MOST_LOOKED_AT = 100


@dataclass(frozen=True)
class NetworkOfUpload:
    """`base` is the row of the model whose file holds the network."""

    architecture: Architecture | None
    architecture_from: ArchitectureFrom | None
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
    found = _network_of(named)
    return NetworkOfUpload(found.architecture, "given", found.base)


def recognized_network(session: Session, owner: str, layout: str) -> NetworkOfUpload:
    """The network of the owner's earlier models with the same names and shapes, if they all are of the same one."""
    same = (ModelRow.owner == owner, ModelRow.layout == layout, ModelRow.status == "ready")
    rows = session.scalars(select(ModelRow).where(*same).order_by(ModelRow.id.desc()).limit(_MOST_LOOKED_AT))
    found = {_identity(row): row for row in rows}
    if len(found) == 1:
        network = _network_of(*found.values())
        return NetworkOfUpload(network.architecture, "recognized", network.base)
    raise _architecture_required([row.id for row in found.values()])


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


def _architecture_required(candidates: list[str]) -> Invalid:
    if candidates:
        advice = (
            f"They fit several of your models, whose networks differ: {', '.join(candidates[:5])}. Say which in "
            f'`architecture`, for example {{"source": "model", "model": "{candidates[0]}"}}.'
        )
    else:
        advice = (
            'Send its `architecture` along: {"source": "layers", "layers": […]} for torch.nn layers, {"source": '
            '"transformers", "config": {…}} with its config.json, or {"source": "model", "model": "model_…"} for the '
            "network of an earlier upload. Or upload the network as TorchScript or .pt2."
        )
    return Invalid(
        f"A state dict holds weights without the network they belong to. {advice}",
        code="architecture_required",
        title="The network's architecture is missing",
    )

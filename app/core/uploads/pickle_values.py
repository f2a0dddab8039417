"""What the abstract pickle machine makes instead of real objects: descriptions without any data."""

from dataclasses import dataclass, field

from app.core.uploads.dtypes import Dtype


@dataclass(frozen=True, eq=False)
class StorageType:
    dtype: Dtype


@dataclass(frozen=True)
class Storage:
    """Where tensors' elements stand: record `key` of the file, which holds `size` bytes."""

    key: str
    dtype: Dtype
    size: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """`offset` and `strides` in elements, as in torch."""

    storage: Storage
    dtype: Dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class UnsupportedTensor:
    kind: str


@dataclass(eq=False)
class Instance:
    """An object of a class that is known by name only. `state` is what it was to be built from."""

    of: str
    state: object = None


@dataclass(frozen=True, eq=False)
class Ignored:
    """A harmless value that stands beside the weights in a checkpoint."""


@dataclass(frozen=True, eq=False)
class Class:
    name: str


@dataclass
class Pickled:
    """One pickle: its value, the storages that it names, and the first global that is not allowed in it."""

    value: object = None
    storages: dict[str, Storage] = field(default_factory=dict)
    forbidden: str | None = None
    is_module: bool = False

"""What is to be reached at batch 1, one thread, as ratios to the uploaded float32 TorchScript, and which file does."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """Quality is either how much accuracy may be lost, or how near the answers must stay to the upload's.

    `together` says that one file has to reach all of it; else one may be the smallest, another the fastest.
    """

    size: float
    speedup: float
    lost: float | None = None
    agreement: float | None = None
    cosine: float | None = None
    together: bool = True

    @property
    def budget(self) -> dict[str, float]:
        """As a search is told it."""
        allowed = self.lost if self.lost is not None else 1 - (self.agreement or 0)
        return {"max_quality_drop": round(allowed, 6)}

    def keeps_quality(self, row: Row, upload: Row) -> bool:
        if self.lost is not None:
            return bool(row["value"] >= upload["value"] - self.lost - 1e-9)
        if self.agreement is not None:
            return bool(row["agreement"] >= self.agreement)
        return bool(row["cosine"] is not None and row["cosine"] >= (self.cosine or 0))

    def quality(self, row: Row) -> float:
        name = "value" if self.lost is not None else "agreement" if self.agreement is not None else "cosine"
        return float(row[name] or 0)

    def __str__(self) -> str:
        quality = (
            f"{100 * self.lost:.1f} points" if self.lost is not None
            else f"agreement {self.agreement}" if self.agreement is not None
            else f"cosine {self.cosine}"
        )  # fmt: skip
        return f"{self.size:.3g} x, {self.speedup:.3g} x, {quality}"


GOALS: dict[str, Goal] = {
    "mnist_convnet": Goal(3.9, 4.4, lost=0.003),
    "mnist_resnet": Goal(3.7, 7, lost=0.003),
    "resnet18": Goal(3.9, 6, cosine=0.999),
    "mobilenet_v2": Goal(3.6, 5, agreement=0.90),
    "distilbert": Goal(3.8, 3.5, cosine=0.998),
    "tweets_transformer": Goal(3.2, 1.26, lost=0.005),
    "vowels_lstm": Goal(3.55, 3.8, lost=0.01),
    "mnist_mlp": Goal(6, 4, lost=0.003),
    "mlp_4096": Goal(6, 12, lost=0.003),
    "mnist_cnn": Goal(3.55, 4.3, lost=0.003, together=False),
    "cancer_mlp": Goal(2.9, 1.9, lost=0.003, together=False),
    "mnist_convnet_pruned": Goal(15, 8, lost=0.007),
}


# Of a search, whose trials may prune and train too. The last two are to be ahead of every file of others instead.
SEARCH_GOALS: dict[str, Goal] = {
    "mnist_convnet": Goal(40, 15, lost=0.01),
    "mnist_resnet": Goal(8, 8, lost=0.01),
    "vowels_lstm": Goal(5, 4, lost=0.01),
    "tweets_transformer": Goal(5, 2, lost=0.01),
    "mnist_mlp": Goal(20, 6, lost=0.01),
    "mobilenet_v2": Goal(4, 5, agreement=0.90),
    "mnist_cnn": Goal(1, 1, lost=0.01),
    "cancer_mlp": Goal(1, 1, lost=0.01),
}
TO_BE_AHEAD = frozenset({"mnist_cnn", "cancer_mlp"})


@dataclass(frozen=True)
class Reached:
    """The names of the smallest and of the fastest file; one and the same where they have to be."""

    smallest: str
    fastest: str
    met: bool


def size_ratio(row: Row, upload: Row) -> float:
    return float(upload["bytes"] / row["bytes"])


def reached(goal: Goal, rows: Mapping[str, Row], upload: Row) -> Reached | None:
    """By files that keep the quality; None where none does."""
    kept = {name: row for name, row in rows.items() if "speedup" in row and goal.keeps_quality(row, upload)}
    if not kept:
        return None
    sizes = {name: size_ratio(row, upload) for name, row in kept.items()}
    speeds = {name: float(row["speedup"]) for name, row in kept.items()}
    if not goal.together:
        smallest, fastest = max(sizes, key=sizes.__getitem__), max(speeds, key=speeds.__getitem__)
        return Reached(smallest, fastest, sizes[smallest] >= goal.size and speeds[fastest] >= goal.speedup)
    shortfalls = {name: min(sizes[name] / goal.size, speeds[name] / goal.speedup) for name in kept}
    both = {name: speeds[name] for name in kept if shortfalls[name] >= 1}
    best = max(both, key=both.__getitem__) if both else max(shortfalls, key=shortfalls.__getitem__)
    return Reached(best, best, bool(both))


def extremes(goal: Goal, rows: Mapping[str, Row], upload: Row) -> Reached | None:
    """The smallest and the fastest of the files that keep the quality, whether or not they are the same."""
    return reached(replace(goal, together=False), rows, upload)


def ahead_of(others: Mapping[str, Row], goal: Goal, upload: Row) -> Goal:
    """The same quality, as small as the smallest of the others that keep it and as fast as the fastest."""
    found = extremes(goal, others, upload)
    if found is None:
        return goal
    size = size_ratio(others[found.smallest], upload)
    return replace(goal, size=size, speedup=others[found.fastest]["speedup"])

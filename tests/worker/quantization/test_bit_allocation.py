from itertools import pairwise, product

import numpy as np

from worker.quantization.bit_allocation import Precision, allocations, size_of


def precisions(seed: int) -> dict[str, list[Precision]]:
    """Fewer bits are smaller, and mostly do more damage."""
    random = np.random.default_rng(seed)
    return {
        f"layer{number}": [
            Precision(
                bits, bits * int(random.integers(10, 200)) + 7, 0.0 if bits == 32 else float(random.random()) / bits
            )
            for bits in (2, 4, 8, 32)
        ]
        for number in range(4)
    }


def damage_of(allocation: dict[str, Precision]) -> float:
    return sum(precision.damage for precision in allocation.values())


def test_nothing_of_the_same_size_or_smaller_has_less_damage() -> None:
    for seed in range(10):
        of = precisions(seed)
        every = [dict(zip(of, chosen, strict=True)) for chosen in product(*of.values())]
        for allocation in allocations(of):
            as_small = [damage_of(each) for each in every if size_of(each) <= size_of(allocation)]
            assert damage_of(allocation) <= min(as_small) + 1e-12


def test_it_leads_from_no_damage_to_the_smallest() -> None:
    of = precisions(3)
    sizes = [size_of(allocation) for allocation in allocations(of)]
    assert sizes[0] == sum(min(each.size_bytes for each in layer if not each.damage) for layer in of.values())
    assert sizes[-1] == sum(min(each.size_bytes for each in layer) for layer in of.values())
    assert all(after < before for before, after in pairwise(sizes))


def test_a_layer_of_infinite_damage_comes_last() -> None:
    of = {
        "bad": [Precision(32, 1000, 0.0), Precision(4, 10, float("inf"))],
        "good": [Precision(32, 100, 0.0), Precision(4, 90, 0.5)],
    }
    assert [each["bad"].bits for each in allocations(of)] == [32, 32, 4]

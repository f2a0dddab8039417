"""Decompositions against what is known of them."""

import pytest
import torch
from torch import Tensor

from worker.factorization.decompositions import cp, relative_error, truncated_svd, tucker2


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_the_truncated_svd_is_the_best_of_its_rank(rank: int) -> None:
    """Eckart and Young: what is lost are the other singular values, and no product of that rank loses less."""
    matrix = random(8, 6)
    lost = torch.linalg.svdvals(matrix)[rank:].square().sum().sqrt()
    product = truncated_svd(matrix, rank).product()
    assert torch.linalg.matrix_rank(product) == rank
    torch.testing.assert_close((product - matrix).norm(), lost)
    assert truncated_svd(matrix, rank).left.shape == (8, rank)


def test_full_ranks_give_the_tensor_back() -> None:
    matrix, kernel = random(7, 5), random(6, 5, 3, 3)
    torch.testing.assert_close(truncated_svd(matrix, 5).product(), matrix)
    torch.testing.assert_close(tucker2(kernel, 6, 5).product(), kernel)


def test_tucker_finds_a_kernel_that_has_the_ranks() -> None:
    kernel = torch.einsum("or,rsab,is->oiab", random(12, 3), random(3, 4, 3, 3, seed=1), random(10, 4, seed=2))
    found = tucker2(kernel, 3, 4)
    torch.testing.assert_close(found.product(), kernel)
    for factor in (found.outputs, found.inputs):
        torch.testing.assert_close(factor.T @ factor, torch.eye(factor.shape[1], dtype=torch.float64))


def test_iteration_improves_on_the_higher_order_svd() -> None:
    kernel = random(16, 12, 3, 3)
    outputs = torch.linalg.svd(kernel.flatten(1), full_matrices=False)[0][:, :3]
    inputs = torch.linalg.svd(kernel.transpose(0, 1).flatten(1), full_matrices=False)[0][:, :3]
    one_round = torch.einsum("oiab,oO,iI->OIab", kernel, outputs @ outputs.T, inputs @ inputs.T)
    assert relative_error(tucker2(kernel, 3, 3).product(), kernel) < relative_error(one_round, kernel) - 1e-4


@pytest.mark.parametrize("sizes", [(9, 7, 3), (9, 7, 3, 3)])
def test_cp_finds_a_tensor_that_is_a_sum_of_two_products(sizes: tuple[int, ...]) -> None:
    letters = "abcd"[: len(sizes)]
    factors = [random(size, 2, seed=size + place) for place, size in enumerate(sizes)]
    tensor = torch.einsum(",".join(f"{letter}z" for letter in letters) + f"->{letters}", *factors)
    found = cp(tensor, 2, seed=0)
    assert relative_error(found.product(), tensor) < 1e-3
    lengths = torch.stack([factor.norm(dim=0) for factor in found.factors])
    torch.testing.assert_close(lengths, lengths[:1].expand_as(lengths))


def test_cp_of_a_higher_rank_is_closer_and_depends_on_the_seed_alone() -> None:
    tensor = random(8, 6, 3, 3)
    errors = [relative_error(cp(tensor, rank, seed=0).product(), tensor) for rank in (1, 8, 32)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.35 < 0.9 < errors[0]
    assert torch.equal(cp(tensor, 4, seed=1).product(), cp(tensor, 4, seed=1).product())
    assert not torch.equal(cp(tensor, 4, seed=1).product(), cp(tensor, 4, seed=2).product())


def test_nothing_of_zeros_is_zeros() -> None:
    assert relative_error(cp(torch.zeros(4, 4, 3), 2, seed=0).product(), torch.zeros(4, 4, 3)) == 0
    assert relative_error(tucker2(torch.zeros(4, 4, 3), 2, 2).product(), torch.zeros(4, 4, 3)) == 0

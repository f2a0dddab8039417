"""Decompositions of matrices and convolution kernels. They are computed in float64: an alternating fit would lose
itself in rounding."""

from dataclasses import dataclass

import torch
from torch import Tensor

HOOI_ROUNDS = 20
ALS_ROUNDS = 200
RIDGE = 1e-9
ENOUGH = 1e-7  # of the tensor's norm: a round that improves less is the last


@dataclass(frozen=True)
class Svd:
    """`left` (rows, rank) @ `right` (rank, columns). Each has the square root of the singular values, so that both
    train alike."""

    left: Tensor
    right: Tensor

    def product(self) -> Tensor:
        return self.left @ self.right


def truncated_svd(matrix: Tensor, rank: int) -> Svd:
    """The best approximation of that rank (Eckart and Young, The approximation of one matrix by another of lower rank,
    1936)."""
    u, s, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    root = s[:rank].sqrt()
    return Svd(u[:, :rank] * root, root[:, None] * v[:rank])


@dataclass(frozen=True)
class Tucker2:
    """`outputs` (out, rank_out) x `core` (rank_out, rank_in, *size) x `inputs` (in, rank_in)."""

    outputs: Tensor
    core: Tensor
    inputs: Tensor

    def product(self) -> Tensor:
        return torch.einsum("or,rs...,is->oi...", self.outputs, self.core, self.inputs)


def tucker2(kernel: Tensor, rank_out: int, rank_in: int) -> Tucker2:
    """`kernel` is (out, in, *size). Begins with the higher-order SVD and refines it by orthogonal iteration: De
    Lathauwer et al., On the best rank-1 and rank-(R1, ..., RN) approximation of higher-order tensors, 2000."""
    kernel = kernel.double()
    inputs, fit = _leading(kernel, 1, rank_in), torch.tensor(0.0)
    for _ in range(HOOI_ROUNDS):
        outputs = _leading(torch.einsum("oi...,is->os...", kernel, inputs), 0, rank_out)
        narrow = torch.einsum("oi...,or->ri...", kernel, outputs)
        inputs = _leading(narrow, 1, rank_in)
        core = torch.einsum("ri...,is->rs...", narrow, inputs)
        before, fit = fit, core.norm() / kernel.norm()
        if fit - before < ENOUGH:
            break
    return Tucker2(outputs, core, inputs)


def _leading(tensor: Tensor, dim: int, rank: int) -> Tensor:
    """The first left singular vectors of a dimension's unfolding."""
    u, _, _ = torch.linalg.svd(unfolded(tensor, dim), full_matrices=False)
    vectors: Tensor = u[:, :rank]
    return vectors


def unfolded(tensor: Tensor, dim: int) -> Tensor:
    return tensor.movedim(dim, 0).flatten(1)


@dataclass(frozen=True)
class Cp:
    """A sum of `rank` outer products: one matrix (size of the dimension, rank) for each dimension."""

    factors: tuple[Tensor, ...]

    def product(self) -> Tensor:
        last = self.factors[-1]
        shape = [len(factor) for factor in self.factors]
        return (_khatri_rao(self.factors[:-1]) @ last.T).reshape(shape)


def cp(tensor: Tensor, rank: int, seed: int) -> Cp:
    """By alternating least squares (Carroll and Chang, 1970; Harshman, 1970) from random factors, with a little ridge:
    without it two products may grow without bound and cancel each other."""
    tensor = tensor.double()
    generator = torch.Generator().manual_seed(seed)
    factors = [torch.randn(size, rank, generator=generator, dtype=torch.float64) for size in tensor.shape]
    fitted, norm = torch.tensor(torch.inf), tensor.norm()
    for _ in range(ALS_ROUNDS):
        for dim in range(tensor.ndim):
            factors[dim] = _least_squares(tensor, factors, dim)
        before, fitted = fitted, (Cp(tuple(factors)).product() - tensor).norm() / norm
        if before - fitted < ENOUGH:
            break
    return Cp(_balanced(factors))


def _least_squares(tensor: Tensor, factors: list[Tensor], dim: int) -> Tensor:
    others = [factor for other, factor in enumerate(factors) if other != dim]
    gram = torch.stack([factor.T @ factor for factor in others]).prod(0)
    gram += torch.eye(len(gram), dtype=gram.dtype) * (gram.diagonal().mean() * RIDGE).clamp_min(1e-30)
    right = unfolded(tensor, dim) @ _khatri_rao(others)
    solution: Tensor = torch.linalg.solve(gram, right.T).T
    return solution


def _khatri_rao(factors: "tuple[Tensor, ...] | list[Tensor]") -> Tensor:
    """Column by column, the products of all entries; the last factor's index runs fastest."""
    product = factors[0]
    for factor in factors[1:]:
        product = (product[:, None] * factor[None]).flatten(0, 1)
    return product


def _balanced(factors: list[Tensor]) -> tuple[Tensor, ...]:
    """The columns of all factors equally long, so that they train alike."""
    lengths = torch.stack([factor.norm(dim=0) for factor in factors]).clamp_min(torch.finfo(torch.float64).tiny)
    mean = lengths.log().mean(0).exp()
    return tuple(factor * (mean / length) for factor, length in zip(factors, lengths, strict=True))


def relative_error(approximation: Tensor, original: Tensor) -> float:
    """In the Frobenius norm."""
    norm = original.double().norm()
    return float((approximation.double() - original.double()).norm() / norm) if norm else 0.0

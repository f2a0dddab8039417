"""Each method of weight quantization beside its definition, computed by itself."""

import pytest
import torch
from torch import Tensor

from app.core.recipes import WeightQuantization
from worker.packing.error_compensation import compensated
from worker.packing.groups import values_in_group
from worker.packing.methods import quantized
from worker.packing.packed import Codebook, Grouped
from worker.packing.rounding import rounded

FEW = (1, 2, 3, 4)


def weight(*shape: int) -> Tensor:
    """Bell-shaped, with a few outliers and a mean beside zero."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(shape, generator=generator) * 0.05 + 0.01
    values.view(-1)[::97] *= 6
    return values


def by(method: str, values: Tensor, bits: int, group_size: int | None = 32) -> Grouped | Codebook:
    return quantized(WeightQuantization(method=method, bits=bits, group_size=group_size), values, len(values))


def groups(values: Tensor, size: int = 32) -> Tensor:
    return values.reshape(-1, size)


def errors(packed: Grouped | Codebook, values: Tensor) -> Tensor:
    return groups(packed.unpacked() - values)


@pytest.mark.parametrize("bits", FEW)
def test_affine_levels_reach_from_the_smallest_weight_to_the_largest(bits: int) -> None:
    values = weight(8, 64)
    found = by("affine", values, bits)
    low, high = groups(values).amin(1).clamp(max=0), groups(values).amax(1).clamp(min=0)
    step = ((high - low) / (2**bits - 1)).half().float().unsqueeze(1)
    zero = (-low.unsqueeze(1) / step).round()
    expected = ((groups(values) / step).round() + zero).clamp(0, 2**bits - 1).sub(zero) * step
    torch.testing.assert_close(groups(found.unpacked()), expected)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_symmetric_levels_are_alike_on_both_sides(bits: int) -> None:
    values = weight(8, 64)
    largest = 2 ** (bits - 1) - 1
    step = (groups(values).abs().amax(1, keepdim=True) / largest).half().float()
    expected = (groups(values) / step).round().clamp(-largest, largest) * step
    torch.testing.assert_close(groups(by("symmetric", values, bits).unpacked()), expected)


@pytest.mark.parametrize(("method", "bits"), [("affine", 2), ("symmetric", 3), ("ternary", 2), ("gptq", 4)])
def test_zeros_stay_zeros(method: str, bits: int) -> None:
    values = weight(8, 64)
    values[:, ::3] = 0
    values[0] = 0
    assert bool((by(method, values, bits).unpacked()[values == 0] == 0).all())


@pytest.mark.parametrize("bits", [8, *FEW])
def test_estimation_fits_a_line_and_beats_plain_rounding_in_every_group(bits: int) -> None:
    values = weight(16, 64)
    found, plain = by("estimation", values, bits), by("affine", values, bits)
    ours, theirs = (errors(one, values).square().sum(1) for one in (found, plain))
    assert bool((ours <= theirs).all())
    if bits < 8:
        assert ours.sum() < 0.97 * theirs.sum()
    codes, best = groups(found.codes).float(), torch.zeros(len(ours))
    for number, (code, given) in enumerate(zip(codes, groups(values), strict=True)):
        line = torch.stack([code, torch.ones(32)], 1)
        best[number] = (line @ torch.linalg.lstsq(line, given).solution - given).square().sum()
    fitted = ours < theirs
    assert ours[fitted].sum() <= 1.02 * best[fitted].sum()


@pytest.mark.parametrize("bits", FEW)
def test_half_quadratic_levels_beat_plain_rounding_in_the_norm_that_they_minimise(bits: int) -> None:
    values = weight(16, 64)
    ours, theirs = (errors(by(m, values, bits), values).abs().pow(0.7).sum(1) for m in ("hqq", "affine"))
    assert bool((ours <= theirs).all())
    assert ours.sum() < (0.95 if bits > 1 else 0.99) * theirs.sum()


def test_three_levels() -> None:
    values = weight(8, 64)
    found = groups(by("ternary", values, 2).unpacked())
    for given, answer in zip(groups(values), found, strict=True):
        large = given.abs() > 0.7 * given.abs().mean()
        expected = torch.where(large, given.sign() * given[large].abs().mean(), 0)
        torch.testing.assert_close(answer, expected, rtol=1e-3, atol=1e-6)


def test_two_levels() -> None:
    values = weight(8, 64)
    found = groups(by("binary", values, 1).unpacked())
    expected = torch.where(groups(values) >= 0, 1, -1) * groups(values).abs().mean(1, keepdim=True)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    other = groups(values).abs().mean(1, keepdim=True) * 1.05 * groups(values).sign()
    assert errors(by("binary", values, 1), values).square().sum() < (other - groups(values)).square().sum()


@pytest.mark.parametrize("bits", [8, *FEW])
def test_k_means_levels_are_nearest_and_the_means_of_their_members(bits: int) -> None:
    values = weight(16, 64)
    found = by("kmeans", values, bits)
    assert isinstance(found, Codebook)
    assert found.levels.shape == (2**bits,)
    distances = (values.flatten().unsqueeze(1) - found.levels).abs()
    torch.testing.assert_close((found.unpacked() - values).abs().flatten(), distances.amin(1))
    for number in found.codes.unique().tolist():
        torch.testing.assert_close(found.levels[number], values[found.codes == number].mean(), rtol=1e-2, atol=1e-4)
    plain = rounded(values.reshape(1, -1), 1, None, symmetric=False, bits=bits).unpacked().reshape(values.shape)
    assert (found.unpacked() - values).square().sum() <= (plain - values).square().sum()


@pytest.mark.parametrize("bits", FEW)
def test_mean_rounding_puts_each_bin_at_the_mean_of_its_members(bits: int) -> None:
    values = weight(16, 64)
    found = by("mean_rounding", values, bits)
    width = (values.max() - values.min()) / 2**bits
    numbers = ((values - values.min()) / width).floor().clamp(max=2**bits - 1)
    middles = values.min() + (numbers + 0.5) * width
    for number in numbers.unique():
        inside = numbers == number
        torch.testing.assert_close(found.unpacked()[inside], values[inside].mean().expand(int(inside.sum())))
    assert (found.unpacked() - values).square().sum() < (middles - values).square().sum()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_error_compensation_changes_the_outputs_less_than_plain_rounding(bits: int, channels: int) -> None:
    values = weight(16, 160)
    mixing = torch.randn(channels, 160, 40, generator=torch.Generator().manual_seed(1))
    inputs = mixing @ torch.randn(channels, 40, 500, generator=torch.Generator().manual_seed(2)) + 0.3
    gram = inputs @ inputs.mT / 500
    ours = compensated(values, 32, bits, gram)
    plain = rounded(values, 16, 32, symmetric=False, bits=bits)
    assert torch.equal(ours.scale, plain.scale)

    def changed(one: Grouped) -> Tensor:
        difference = (one.unpacked() - values).reshape(channels, -1, 160)
        return (difference @ inputs).square().mean(2).flatten()

    assert bool((changed(ours) <= changed(plain) * 1.0001).all())
    assert changed(ours).sum() < 0.6 * changed(plain).sum()


def test_error_compensation_without_correlations_is_plain_rounding() -> None:
    values = weight(8, 64)
    ours = compensated(values, 32, 4, torch.eye(64).unsqueeze(0))
    assert torch.equal(ours.unpacked(), rounded(values, 8, 32, symmetric=False, bits=4).unpacked())


def test_inputs_that_are_always_zero_do_no_harm() -> None:
    found = compensated(weight(8, 64), 32, 4, torch.zeros(1, 64, 64))
    assert torch.equal(found.unpacked(), rounded(weight(8, 64), 8, 32, symmetric=False, bits=4).unpacked())


@pytest.mark.parametrize(
    ("shape", "group_size", "expected"),
    [
        ((10, 256), 128, 128),
        ((10, 200), 128, 200),
        ((20, 32), 128, 128),
        ((21, 32), 128, 96),
        ((10, 3, 3, 3), 128, 27),
        ((10, 256), None, 256),
    ],
)
def test_groups_are_parts_of_rows_or_whole_rows(shape: tuple[int, ...], group_size: int, expected: int) -> None:
    assert values_in_group(torch.zeros(shape), shape[0], group_size) == expected


@pytest.mark.parametrize("scale", [1e-15, 1e-6, 1e6])
def test_weights_of_any_size_are_rounded(scale: float) -> None:
    values = weight(8, 64) * scale
    for method, bits in (("affine", 4), ("hqq", 4), ("estimation", 4), ("ternary", 2), ("binary", 1), ("kmeans", 4)):
        found = by(method, values, bits).unpacked()
        assert (found - values).square().sum() < 0.9 * values.square().sum(), method

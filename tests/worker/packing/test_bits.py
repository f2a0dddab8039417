"""Codes of any number of bits, in any number, come back from what is stored."""

import pytest
import torch

from worker.exporting.load_network import unpacked
from worker.packing.bits import in_bits
from worker.packing.packed import Codebook, Grouped, bytes_of


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 1, 3, 3), (4, 64)])
def test_codes_come_back(bits: int, shape: tuple[int, ...]) -> None:
    codes = torch.randint(0, 2**bits, shape, generator=torch.Generator().manual_seed(bits), dtype=torch.uint8)
    codes.view(-1)[-1] = 2**bits - 1
    packed = Codebook(codes, torch.arange(2**bits) * 0.5, bits)
    stored = {"w": packed.stored(), **{f"w.{name}": one for name, one in packed.beside().items()}}
    assert packed.stored().nbytes == bits * -(-codes.numel() // 8)
    assert bytes_of(packed) == sum(one.nbytes for one in stored.values())
    assert torch.equal(unpacked(stored, {"packed": {"w": packed.kind}})["w"], codes * 0.5)


@pytest.mark.parametrize("zero_point", [torch.tensor([0.5]), torch.tensor([1.0, 2.5, 0.25]).half()])
def test_groups_come_back(zero_point: torch.Tensor) -> None:
    codes = torch.randint(0, 8, (3, 7), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    packed = Grouped(codes, torch.tensor([0.5, 1.0, 2.0]).half(), zero_point, bits=3)
    stored = {"w": packed.stored(), **{f"w.{name}": one for name, one in packed.beside().items()}}
    assert bytes_of(packed) == sum(one.nbytes for one in stored.values())
    whole = unpacked(stored, {"packed": {"w": packed.kind}})["w"]
    assert torch.equal(whole, packed.unpacked())
    torch.testing.assert_close(whole[1], codes[1].float() - zero_point.float()[1 if len(zero_point) > 1 else 0])


@pytest.mark.parametrize("shape", [[3, 100], [-1, -3]])
def test_a_shape_that_the_codes_cannot_fill_is_refused(shape: list[int]) -> None:
    stored = {"w": in_bits(torch.zeros(16), 2), "w.levels": torch.zeros(4), "w.shape": torch.tensor(shape)}
    with pytest.raises((ValueError, RuntimeError)):
        unpacked(stored, {"packed": {"w": "codebook"}})

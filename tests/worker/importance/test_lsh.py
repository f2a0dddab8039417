import torch

from worker.importance.lsh import redundancy

ROWS = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))


def test_it_estimates_the_cosine_to_the_most_similar_larger_row() -> None:
    rows = torch.cat([ROWS, ROWS[:20] + 0.5 * torch.randn(20, 30, generator=torch.Generator().manual_seed(1))])
    lengths = rows.norm(dim=1)
    cosines = (rows @ rows.T) / lengths / lengths[:, None]
    larger = lengths[None, :] > lengths[:, None]
    expected = cosines.masked_fill(~larger, 0).amax(dim=1)
    torch.testing.assert_close(redundancy(rows, seed=0), expected, atol=0.2, rtol=0)


def test_of_copies_only_the_largest_is_needed() -> None:
    rows = torch.cat([ROWS, 0.5 * ROWS[:1], 0.1 * ROWS[:1]])
    found = redundancy(rows, seed=0)
    assert found[-2:].tolist() == [1.0, 1.0]
    assert found[0] < 0.8


def test_opposite_rows_are_not_similar() -> None:
    assert redundancy(torch.stack([ROWS[0], -0.9 * ROWS[0]]), seed=0).tolist() == [0.0, 0.0]


def test_many_rows_are_compared_across_parts() -> None:
    rows = torch.randn(2500, 8, generator=torch.Generator().manual_seed(3))
    rows[2400] = 0.5 * rows[10]
    assert redundancy(rows, seed=0)[2400] == 1

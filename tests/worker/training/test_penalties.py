import pytest
import torch
from torch import nn

from worker.training.penalties import batch_norm_l1, group_lasso, l1, l2


def test_l1_and_l2_are_of_weights_without_biases() -> None:
    layer = nn.Linear(5, 4)
    assert l1(layer).item() == pytest.approx(layer.weight.abs().sum().item(), rel=1e-5)
    assert l2(layer).item() == pytest.approx((layer.weight**2).sum().item(), rel=1e-5)
    assert l1(nn.BatchNorm2d(3)).item() == 0


def test_group_lasso_is_over_output_channels() -> None:
    layer = nn.Conv2d(3, 4, 2)
    wanted = sum(12**0.5 * layer.weight[channel].norm() for channel in range(4))
    assert group_lasso(layer).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_group_lasso_knows_where_transposed_convolutions_have_their_channels() -> None:
    layer = nn.ConvTranspose2d(3, 4, 2)
    wanted = sum(12**0.5 * layer.weight[:, channel].norm() for channel in range(4))
    assert group_lasso(layer).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_a_channel_of_a_recurrent_layer_is_a_hidden_unit_in_all_gates() -> None:
    layer = nn.LSTM(3, 5)
    wanted = sum(
        (4 * size) ** 0.5 * torch.cat([weight[unit + 5 * gate] for gate in range(4)]).norm()
        for weight, size in ((layer.weight_ih_l0, 3), (layer.weight_hh_l0, 5))
        for unit in range(5)
    )
    assert group_lasso(layer).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_words_of_an_embedding_are_no_channels() -> None:
    assert group_lasso(nn.Embedding(5, 3)).item() == 0


def test_a_channel_of_zeros_has_a_gradient_of_zeros() -> None:
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight[0] = 0
    group_lasso(layer).backward()
    assert layer.weight.grad[0].tolist() == [0, 0, 0]
    assert layer.weight.grad[1].abs().min() > 0


def test_batch_norms_are_measured_by_their_scales() -> None:
    layer = nn.BatchNorm1d(3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, -2.0, 0.5]))
    assert batch_norm_l1(layer).item() == 3.5
    assert batch_norm_l1(nn.BatchNorm1d(3, affine=False)).item() == 0
    assert batch_norm_l1(nn.Linear(3, 3)).item() == 0

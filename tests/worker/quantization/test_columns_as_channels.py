"""Answers are compared to the bit: the integers are the same, and so is what is done with them."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.worker.quantization.graphs import graph, in_int8, normal, run, stored
from worker.quantization.columns_as_channels import with_columns_as_channels


class Case:
    """A convolution in int8, its answers rounded, and a layer of `others` weights, by which zeros are few."""

    def __init__(
        self, folder: Path, settings: str, filters: tuple[int, ...], size: tuple[int, ...], *,
        behind: str = "", others: int = 500_000, known: bool = True, per_channel: bool = True,
    ) -> None:  # fmt: skip
        self.x = normal(3, filters[1], *size)
        shape = ", ".join(str(each) if known else f"s{number}" for number, each in enumerate((filters[1], *size)))
        last = f"c = {behind}(a) p = GlobalMaxPool(c)" if behind else "p = GlobalMaxPool(a)"
        body = f"a = Conv<{settings}>(x, w, b) {last} f = Flatten(p) h = Gemm(f, w2) y = Gemm<transB = 1>(h, w2)"
        weights = {"w": normal(*filters), "b": normal(filters[0]), "w2": normal(filters[0], others // filters[0])}
        exact = graph(body, weights, f"float[N, {shape}] x")
        self.before = in_int8(folder, exact, self.x, per_channel=per_channel)

    def rewritten(self) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self.before)
        with_columns_as_channels(model)
        onnx.checker.check_model(model, full_check=True)
        return model

    def filter(self) -> tuple[int, ...]:
        """Of what was rewritten, once its answers were found to be the same for one example and for all."""
        model = self.rewritten()
        for examples in (self.x[:1], self.x):
            assert np.array_equal(run(model, examples), run(self.before, examples))
        (node,) = [node for node in model.graph.node if node.op_type == "Conv"]
        (weight,) = [each.input[0] for each in model.graph.node if node.input[1] in each.output]
        return stored(model, weight).shape


def settings(stride: int, pads: tuple[int, int], axes: int = 2) -> str:
    before, after = pads
    return f"strides = [{', '.join([str(stride)] * axes)}], pads = {[before] * axes + [after] * axes}"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("kernel", [1, 3, 6])
@pytest.mark.parametrize("pads", [(0, 0), (1, 1), (0, 1), (5, 2)])
def test_a_convolution_of_few_channels_answers_the_same(
    tmp_path: Path, channels: int, stride: int, kernel: int, pads: tuple[int, int]
) -> None:
    case = Case(tmp_path, settings(stride, pads), (6, channels, kernel, kernel), (9, 12))
    assert case.filter()[:2] == (24 // stride, 4 * channels)


@pytest.mark.parametrize("size", [(16,), (5, 6, 8)])
def test_sounds_and_volumes_too(tmp_path: Path, size: tuple[int, ...]) -> None:
    filters = (5, 1, *(3 for _ in size))
    assert Case(tmp_path, settings(2, (1, 1), len(size)), filters, size).filter()[:2] == (10, 4)


@pytest.mark.parametrize("behind", ["Relu", "HardSwish"])
def test_with_an_activation_behind_it(tmp_path: Path, behind: str) -> None:
    assert Case(tmp_path, settings(1, (1, 1)), (6, 1, 3, 3), (8, 8), behind=behind).filter()[:2] == (24, 4)


def test_with_one_scale_for_all_weights(tmp_path: Path) -> None:
    case = Case(tmp_path, settings(1, (1, 1)), (6, 1, 3, 3), (8, 8), per_channel=False)
    assert case.filter()[:2] == (24, 4)


def test_one_output(tmp_path: Path) -> None:
    assert Case(tmp_path, settings(1, (1, 1)), (1, 1, 3, 3), (8, 8)).filter()[:2] == (4, 4)


@pytest.mark.parametrize(
    ("given", "filters", "size"),
    [
        (settings(3, (1, 1)), (6, 1, 3, 3), (9, 12)),
        ("dilations = [2, 2]", (6, 1, 3, 3), (9, 12)),
        ("auto_pad = \"SAME_UPPER\"", (6, 1, 3, 3), (9, 12)),
        (settings(1, (1, 1)), (6, 4, 3, 3), (9, 12)),
        (settings(1, (1, 1)), (6, 1, 3, 3), (12, 9)),
    ],
    ids=["stride", "dilation", "padding by size", "channels", "width"],
)  # fmt: skip
def test_what_four_does_not_divide_stays(
    tmp_path: Path, given: str, filters: tuple[int, ...], size: tuple[int, ...]
) -> None:
    assert Case(tmp_path, given, filters, size).filter() == filters


def test_what_would_grow_the_file_stays(tmp_path: Path) -> None:
    assert Case(tmp_path, settings(1, (1, 1)), (6, 1, 3, 3), (8, 8), others=600).filter() == (6, 1, 3, 3)


def test_what_has_no_known_size_stays(tmp_path: Path) -> None:
    assert Case(tmp_path, settings(1, (1, 1)), (6, 1, 3, 3), (8, 8), known=False).filter() == (6, 1, 3, 3)


def test_what_is_in_float_stays(tmp_path: Path) -> None:
    model = graph("y = Conv(x, w)", {"w": normal(6, 1, 3, 3)}, "float[N, 1, 8, 8] x")
    assert with_columns_as_channels(model).SerializeToString() == model.SerializeToString()

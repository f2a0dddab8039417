"""What an input's values decide is refused, also where the examples leave no trace of it; what sizes do is not."""

import pytest
import torch
from torch import Tensor, nn

from tests.worker.importing.archives import reopened
from worker.loading.importing import Unsupported, import_torchscript


def scripted(body: str) -> torch.jit.ScriptModule:
    """On small inputs `size` is 0, and none of them is larger than 9."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    module = torch.jit.script(type("Written", (nn.Module,), {})())  # a class of its own: scripting keeps one for each
    module.define(f"def forward(self, x: Tensor) -> Tensor:\n    size = int(x.abs().mean())\n{lines}\n    return x\n")
    return reopened(module)


def inputs(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 6, generator=torch.Generator().manual_seed(batch)).clamp(-0.9, 0.9),)


def refused(body: str) -> str:
    with pytest.raises(Unsupported, match=r"values of its input.*torch\.where") as refusal:
        import_torchscript(scripted(body), inputs(2))
    return refusal.value.operator


@pytest.mark.parametrize(
    "body",
    [
        "while bool(x.mean() > 5):\n    x = x * 0.5",
        "go = True\nwhile go:\n    x = x * 0.5\n    go = bool(x.mean() > 5)",
        "while size > 0:\n    x = x * 0.5\n    size -= 1",
        "for _ in range(size):\n    x = x * 0.5",
        "for _ in range(1, 1 + size):\n    x = x * 0.5",
        "for i in range(0, 6, 1 + size):\n    x = x + i",
        "for i in range(size, -1, -1):\n    x = x + i",
        "for row in x[x > 9]:\n    x = x + row",
    ],
)
def test_rounds_of_a_loop(body: str) -> None:
    assert refused(body) == "prim::Loop"


@pytest.mark.parametrize(
    "body",
    [
        "if bool(x.mean() > 5):\n    x = x * 0.5",
        "if x.mean().item() > 5:\n    return x * 0.5",
        "for _ in range(3):\n    if size > 5:\n        return x\n    x = x * 0.5",
        "for _ in range(3):\n    x = x * 0.5\n    if size > 5:\n        break",
        "if '{}'.format(size) == '9':\n    x = x * 0.5",
        "rate = 0.5 if self.training else 0.0\nif size == 0:\n    x = x.clamp(-1, 1)\nelse:\n"
        "    x = torch.dropout(x, rate, self.training)",
    ],
)
def test_branches(body: str) -> None:
    assert refused(body) == "prim::If"


@pytest.mark.parametrize(
    "picked",
    [
        "x[x > 9]",
        "(x > 9).nonzero()",
        "torch.masked_select(x, x > 9) * 2",
        "x[:, :size]",
        "torch.arange(size)",
        "torch.zeros_like(x[x > 9])",
    ],
)
def test_sizes_that_values_decide(picked: str) -> None:
    assert refused(f"picked = {picked}\nif picked.numel() > 0:\n    x = x * 0.5") == "prim::If"
    assert refused(f"picked = {picked}\nif len(picked) + picked.size(0) > 6:\n    x = x * 0.5") == "prim::If"


@pytest.mark.parametrize(
    ("body", "operator"),
    [
        ("if size in [5, 6]:\n    x = x * 0.5", "aten::__contains__"),
        ("if size in {5: 1}:\n    x = x * 0.5", "aten::__contains__"),
        ("some = [x, x, x * 2]\nx = some[: 1 + size][-1]", "aten::slice"),
        ("x = x * len([1] * (1 + size))", "aten::mul"),
        ("some = [1, 2]\nsome[size] = 1\nx = x * some[0]", "aten::_set_item"),
        ("x = x * [1, 2][size]", "aten::__getitem__"),
        ("x = x * {0: 1, 1: 2}.get(size, 3)", "aten::get"),
        ("if 5 in {size: 1}:\n    x = x * 0.5", "prim::DictConstruct"),
        ("x = x * len(torch.unbind(x[x > 9]))", "aten::unbind"),
        ("x = x * len(torch.split(x, 6 - size, 1))", "aten::split"),
    ],
)
def test_lists_and_dicts(body: str, operator: str) -> None:
    assert refused(body) == operator


@pytest.mark.parametrize(
    "body",
    [
        "for i in range(3):\n    x = x * 0.5 + i",
        "i = 0\nwhile i < 3:\n    x = x * 0.5\n    i += 1",
        "for i in range(x.size(1) - 1, -1, -1):\n    x = x + x[:, i : i + 1]",
        "for i in range(0):\n    x = x * 0.5",
        "if x.size(1) in [4, 6]:\n    x = x[:, [1, 2]]",
        "print('{} of {}'.format(size, x.size(1)))",
        "some = {'a': x}\nif 'a' in some:\n    x = some['a'] * 2",
        "x = x / (1 + x.abs().max().item())\nif x.size(1) > 3:\n    x = x + 1",
        "x = x + x[x > 0].sum()\nif x.size(1) > 3:\n    x = x + 1",
        "x[x > 0] = 0.5\nif x.size(1) > 3:\n    x = x + 1",
        "chosen = x[:, 0] > 0\nleft, right = x[chosen].chunk(2, -1)\n"
        "x = x.index_put([chosen], torch.cat([right, left], -1))",
    ],
)
def test_what_stays_whole(body: str) -> None:
    archive = scripted(body)
    network = import_torchscript(archive, inputs(2)).graph_module
    for each in (inputs(2)[0], inputs(5)[0] * 100):
        torch.testing.assert_close(network(each.clone()), archive(each.clone()))

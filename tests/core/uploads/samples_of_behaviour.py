"""TorchScript that no reader can tell from a network: it ends, grows, prints or computes too much when it is run."""

from tests.core.uploads.pickle_builder import script
from tests.core.uploads.sample import Sample

HEAD = """class M(Module):
  __parameters__ = ["w", ]
  __buffers__ = []
  w : Tensor
  training : bool
  def forward(self: __torch__.M,
    x: Tensor) -> Tensor:
"""
LOWEST = "torch.full([2], -9223372036854775808, dtype=4)"


def running(name: str, rejected_as: str, *lines: str) -> Sample:
    """`lines` are the body of the module's forward."""
    code = HEAD + "".join(f"    {line}\n" for line in lines)
    return Sample(f"runs-{name}", script(code=code), None, rejected_as=rejected_as)


def looping(name: str, rejected_as: str, start: str, *lines: str, **carried: str) -> Sample:
    """`lines` are run without end; `carried` are the variables that they change, and what these become."""
    names, values = ", ".join(["go", *carried]), ", ".join(["True", *carried.values()])
    loop = ("go = True", *start.split("; "), "while go:", *(f"  {line}" for line in lines), f"  {names} = {values}")
    return running(name, rejected_as, *loop, f"return torch.add(x, {list(carried)[-1]})")


TIME, MEMORY, LOG, CRASH, FAILED = "time_limit", "out_of_memory", "log_limit", "child_crashed", "forward_failed"
SAMPLES = (
    looping("without-end", TIME, "y = x", "y0 = torch.sin(y)", y="y0"),
    running("for-ages", TIME, "y = x", "for i in range(9223372036854775807):", "  y = torch.sin(y)", "return y"),
    looping(
        "a-growing-list", MEMORY, "n = 0; a = [1]",
        "a0 = torch.add(a, a)", "n0 = torch.len(a0)", a="a0", n="n0",
    ),
    looping(
        "a-growing-text", MEMORY, 'n = 0; a = "aaaaaaaaaaaaaaaa"',
        "a0 = torch.add(a, a)", "n0 = torch.len(a0)", a="a0", n="n0",
    ),
    looping("a-growing-tensor", MEMORY, "y = x", "y0 = torch.cat([y, y])", y="y0"),
    looping("printing", LOG, "y = x", "print(y)", "y0 = torch.sin(y)", y="y0"),
    running("a-raise", FAILED, 'ops.prim.RaiseException("\\033[2J gone")', "return x"),
    running("a-huge-tensor", FAILED, "return torch.ones([1125899906842624])"),
    running("a-huge-list", FAILED, "a = torch.mul([1], 1000000000000)", "return torch.add(x, torch.len(a))"),
    running("strides-beyond", FAILED, "return torch.as_strided(x, [2], [1000000000])"),
    running("index-beyond", FAILED, "return torch.embedding(x, torch.full([2], 1000000000, dtype=4))"),
    running("calling-itself", "load_failed", "return (self).forward(x, )"),
    running(
        "division-overflow", CRASH, f"low = torch.Int(torch.select({LOWEST}, 0, 0))",
        "return torch.add(x, torch.floordiv(low, torch.sub(torch.size(x, 1), 3)))",
    ),
)  # fmt: skip

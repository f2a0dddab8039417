"""One odd or hostile file, and the answer that it must get."""

from typing import Literal, NamedTuple


class Sample(NamedTuple):
    """`code` is that of the refusal; None when the file is odd, but right."""

    name: str
    content: bytes
    code: str | None
    kind: Literal["model", "dataset"] = "model"
    file_name: str = "upload.pt"

"""One odd or hostile file, and the answer that it must get."""

from typing import Literal, NamedTuple


class Sample(NamedTuple):
    """`code` is that of the refusal; None when the file is odd, but right.

    `rejected_as` is the code with which inspection must reject a file that is right, and hostile when it is run.
    """

    name: str
    content: bytes
    code: str | None
    kind: Literal["model", "dataset"] = "model"
    file_name: str = "upload.pt"
    rejected_as: str | None = None

"""A convolution along its last axis, seen in blocks of columns whose channels stand beside each other."""

from dataclasses import dataclass

import numpy as np

COLUMNS = 4


@dataclass(frozen=True)
class BlocksOfColumns:
    """`width` and `answers` are the columns that go in and come out, `before` is the padding in front. `COLUMNS`
    divides the width, and the stride divides `COLUMNS`. Blocks are counted from that of column 0."""

    width: int
    answers: int
    kernel: int
    stride: int
    before: int

    @property
    def answers_of_block(self) -> int:
        return COLUMNS // self.stride

    @property
    def first(self) -> int:
        """That the answers of block 0 read; negative where that is padding."""
        return -self.before // COLUMNS

    @property
    def last(self) -> int:
        return (self.stride * (self.answers_of_block - 1) - self.before + self.kernel - 1) // COLUMNS

    @property
    def read(self) -> int:
        """Blocks that each block of answers reads."""
        return self.last - self.first + 1

    @property
    def after(self) -> int:
        """Blocks of padding behind the last column."""
        return max(0, -(-self.answers // self.answers_of_block) + self.last - self.width // COLUMNS)

    @property
    def computed(self) -> int:
        """Columns that come out, more than `answers` where the last ones aren't wanted."""
        return (self.width // COLUMNS - self.first + self.after - self.read + 1) * self.answers_of_block

    def filter(self, weight: np.ndarray) -> np.ndarray:
        """[out, in, ..., kernel] as [answers of a block x out, columns x in, ..., blocks], with zeros between."""
        out, channels, *others, kernel = weight.shape
        laid = np.zeros((self.answers_of_block, out, COLUMNS, channels, *others, self.read), weight.dtype)
        for answer in range(self.answers_of_block):
            for tap in range(kernel):
                block, column = divmod(self.stride * answer - self.before + tap, COLUMNS)
                laid[answer, :, column, ..., block - self.first] = weight[..., tap]
        return laid.reshape(self.answers_of_block * out, COLUMNS * channels, *others, self.read)

    def for_each_answer(self, values: np.ndarray) -> np.ndarray:
        """What there is once for each output, such as its scale or its bias."""
        return np.tile(values, self.answers_of_block)

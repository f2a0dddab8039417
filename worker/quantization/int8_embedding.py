"""An embedding whose table is stored in int8: only the rows that are looked up become float32."""

from torch import Tensor, nn
from torch.nn.functional import embedding

from worker.packing.rounding import rounded


class Int8Embedding(nn.Module):
    """`codes` of shape (rows, columns), int8; `scale` of shape (rows, 1), or (1, 1) for one in all."""

    codes: Tensor
    scale: Tensor

    def __init__(self, table: nn.Embedding, *, per_channel: bool) -> None:
        super().__init__()
        packed = rounded(table.weight, table.num_embeddings if per_channel else 1, None, symmetric=True)
        self.register_buffer("codes", packed.codes)
        self.register_buffer("scale", packed.scale.unsqueeze(1))

    def forward(self, rows: Tensor) -> Tensor:
        scale = embedding(rows, self.scale) if len(self.scale) > 1 else self.scale
        return embedding(rows, self.codes).float() * scale

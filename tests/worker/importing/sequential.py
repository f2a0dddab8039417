"""Tiny networks for sequences: recurrent layers, attention, transformers."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class Recurrent(nn.Module):
    """Stacked and bidirectional; `kind` is one of torch's recurrent layers."""

    def __init__(self, kind: Callable[..., nn.Module], width: int, batch_first: bool = True, **settings: int) -> None:
        super().__init__()
        self.rnn = kind(6, 8, num_layers=2, bidirectional=True, batch_first=batch_first, dropout=0.1, **settings)
        self.fc = nn.Linear(width, 3)
        self.batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.batch_first else x.transpose(0, 1)
        y, _ = self.rnn(x)
        return self.fc(y[:, -1] if self.batch_first else y[-1])


class LastHidden(nn.Module):
    """Uses the last hidden and cell state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 8, batch_first=True)
        self.fc = nn.Linear(16, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        _, (hidden, cell) = self.lstm(self.embedding(tokens))
        return self.fc(torch.cat([hidden[-1], cell[-1]], dim=-1))


class ConvolutionalRecurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.gru = nn.GRU(16, 6, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv(x)), (2, 1))
        x = x.permute(0, 3, 1, 2).flatten(2)
        return self.fc(self.gru(x)[0]).log_softmax(-1)


class Cells(nn.Module):
    """A loop over steps with a cell, and a first state that is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, 5)
        self.first = nn.Parameter(torch.randn(1, 5))
        self.fc = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first.expand(x.size(0), -1)
        cell = torch.zeros_like(hidden)
        for step in range(3):
            hidden, cell = self.cell(x[:, step], (hidden, cell))
        return self.fc(hidden)


class Transformer(nn.Module):
    def __init__(self, norm_first: bool = False, activation: str = "relu") -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first, activation=activation)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.encoder(x).mean(1))


class CrossAttention(nn.Module):
    """nn.MultiheadAttention with a query of its own, first dimension time."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2)
        self.norm = nn.LayerNorm(8)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        query, memory = query.transpose(0, 1), memory.transpose(0, 1)
        answer, weights = self.attention(query, memory, memory)
        assert weights is not None
        return self.norm(answer + query).transpose(0, 1) * weights.amax(-1, keepdim=True)


class FusedAttention(nn.Module):
    """One projection for query, key and value, as in vision transformers and GPTs."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.position = nn.Parameter(torch.randn(1, 6, 8))
        self.qkv = nn.Linear(8, 24)
        self.proj = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.register_buffer("mask", torch.ones(6, 6).tril().bool())

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.position
        batch, length, width = x.shape
        qkv = self.qkv(self.norm(x)).reshape(batch, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0], qkv[1], qkv[2]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=self.mask[:length, :length])
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, width))[:, 0]


class WrittenAttention(nn.Module):
    """Attention spelled out with matmul, masked_fill and softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.dropout = nn.Dropout(0.1)

    def split(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), -1, 2, 4).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = torch.matmul(query, key.transpose(-1, -2)) / 4**0.5
        mask = torch.triu(torch.ones(x.size(1), x.size(1), dtype=torch.bool), diagonal=1)
        weights = self.dropout(torch.softmax(scores.masked_fill(mask, float("-inf")), dim=-1))
        return torch.matmul(weights, value).transpose(1, 2).reshape(x.size(0), -1, 8)


class Positional(nn.Module):
    """Sizes turned into positions, and an index by a computed tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(15, 6), nn.Embedding(10, 6)
        self.norm = nn.LayerNorm(6, eps=1e-6)
        self.fc = nn.Linear(6, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.size(1), device=tokens.device).unsqueeze(0).expand_as(tokens)
        x = self.norm(self.tokens(tokens) + self.positions(positions))
        last = tokens.ne(0).sum(1).clamp(min=1) - 1
        return self.fc(x[torch.arange(x.size(0)), last])


class Tied(nn.Module):
    """The decoder's weight is the embedding's, and one block is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(12, 8)
        self.block = nn.Sequential(nn.Linear(8, 8), nn.GELU())
        self.decoder = nn.Linear(8, 12)
        self.decoder.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.decoder(self.block(self.block(self.embedding(tokens))))


class EncoderDecoder(nn.Module):
    """nn.Transformer whole, with a mask that it looks into to choose its way."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = torch.triu(torch.full((4, 4), float("-inf")), 1)
        return self.transformer(source, target, tgt_mask=mask)


class FirstState(nn.Module):
    """Recurrent layers that are given their first state."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(6, 5, 2, batch_first=True)
        self.lstm = nn.LSTM(5, 4, batch_first=True)
        self.state = nn.Parameter(torch.randn(2, 1, 5))

    def forward(self, x: Tensor) -> Tensor:
        y, hidden = self.gru(x, self.state.expand(2, x.size(0), 5).contiguous())
        ones = torch.ones(1, x.size(0), 4)
        z, (last, cell) = self.lstm(y, (ones, ones * 0.5))
        return torch.cat([z[:, -1], last[0], cell[0], hidden[0]], 1)


class Unrolled(nn.Module):
    """A loop over the length of the sequence, which a trace and an import both fix."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(6, 5)
        self.layers = nn.ModuleList([nn.Linear(5, 5) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.zeros(x.size(0), 5)
        steps: list[Tensor] = []
        for step in range(x.size(1)):
            hidden = self.cell(x[:, step], hidden)
            steps.append(hidden)
        y = torch.stack(steps, 1)
        for index, layer in enumerate(self.layers):
            y = layer(y) * (index + 1)
        return y.sum(1)

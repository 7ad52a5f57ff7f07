"""Small causal transformer, for comparison.

    u = x + A softmax(Q'K / sqrt(D / heads)) V               queries, keys, values of norm(x); a softmax over the steps seen
    y = u + W_2 gelu(W_1 norm(u))                            a block; norm(y) after the last one is the output

Blocks of attention to past steps and of a map of each step.

Queries and keys are turned by an angle that grows with their step (rotary), so that their product depends on how far apart
they are. A step sees itself and `context` steps before it. The state is the keys and values of those, and how many steps
there have been. W_1 is (4D, D); where heads do not divide D, they are rounded up, and W_1 and W_2 are narrower by as much.

Source: Vaswani et al. 2017, arXiv:1706.03762; norm before each part: Xiong et al. 2020, arXiv:2002.04745; rotary: Su et al.
2021, arXiv:2104.09864.

Group: fixed context, without recurrence.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...options import Positive, Rate
from ..mechanism import Mechanism, State, Step
from ..recompute import recomputed
from ..window import extended


class Transformer(Mechanism):
    version = 1
    recurrent = False
    backends = ("library",)

    def __init__(
        self,
        input_size: Positive,
        hidden_size: Positive = 128,  # model width D
        blocks: Positive = 2,  # blocks of attention and feed-forward layer
        heads: Positive = 4,  # attention heads; they share the width
        context: Positive = 256,  # steps back that a step attends to
        block_dropout: Rate = 0.0,  # dropout probability on what each half of a block adds
    ):
        super().__init__()
        self.input_size, self.output_size, self.context = input_size, hidden_size, context
        self.enter = nn.Linear(input_size, hidden_size)
        self.blocks = nn.ModuleList(TransformerBlock(hidden_size, heads, block_dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(hidden_size)

    def initial_state(self, batch_size: int) -> State:
        """(keys and values (B, context, D) of each block, steps so far (B,))."""
        empty = self.norm.weight.new_zeros(batch_size, self.context, self.blocks[0].out.in_features)  # type: ignore
        count = torch.zeros(batch_size, dtype=torch.long, device=empty.device)
        return (*((empty, empty) for _ in self.blocks), count)

    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        y, state = self.unroll(x.unsqueeze(0), state)
        return y[0], state, {}

    def unroll(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        *windows, count = state
        T, back = len(x), min(self.context, int(count.max()))
        ahead, keys = torch.arange(T, device=x.device), torch.arange(-back, T, device=x.device)
        age = ahead.unsqueeze(1) - keys  # of the key (column) that a step (row) looks at
        exists = keys >= -count.unsqueeze(1)
        visible = ((age >= 0) & (age <= self.context)) & exists.unsqueeze(1)  # (B, T, back + T)
        y, ends = self.enter(x.transpose(0, 1)), []
        for block, window in zip(self.blocks, windows, strict=True):
            again = self.recompute and block is not self.blocks[-1]
            y, end = recomputed(again, block, y, window, count.unsqueeze(1) + ahead, visible.unsqueeze(1), lengths, around=self)
            ends.append(end)
        return self.norm(y).transpose(0, 1), (*ends, count + (T if lengths is None else lengths))


class TransformerBlock(nn.Module):
    """Attention and then a map of each step, each of the normed input and added to it; x and y (B, T, D)."""

    def __init__(self, size: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_1, self.norm_2 = nn.LayerNorm(size), nn.LayerNorm(size)
        attended = 2 * heads * math.ceil(size / (2 * heads))  # rotation needs pairs
        mapped = max(6 * size - 2 * attended, 1)  # so that a block has 12 size² weights
        self.qkv, self.out = nn.Linear(size, 3 * attended), nn.Linear(attended, size)
        self.up, self.down = nn.Linear(size, mapped), nn.Linear(mapped, size)

    def forward(
        self, x: Tensor, window: tuple[Tensor, Tensor], at: Tensor, visible: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, State]:
        """`at` (B, T) numbers the steps; `visible` (B, 1, T, keys) says which of the last keys a step sees."""
        q, k, v = self.qkv(self.norm_1(x)).chunk(3, -1)
        k, keys = extended(window[0], rotate(k, at, self.heads), lengths)
        v, values = extended(window[1], v, lengths)
        near = visible.shape[-1]
        q, k, v = (self._split(part) for part in (rotate(q, at, self.heads), k[:, -near:], v[:, -near:]))
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=visible).transpose(1, 2).flatten(2)
        x = x + functional.dropout(self.out(seen), self.dropout, self.training)
        mapped = self.down(functional.gelu(self.up(self.norm_2(x))))
        return x + functional.dropout(mapped, self.dropout, self.training), (keys, values)

    def _split(self, x: Tensor) -> Tensor:
        """(B, heads, T, D / heads) from (B, T, D)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def rotate(x: Tensor, at: Tensor, heads: int) -> Tensor:
    """x (B, T, D), of each head's pairs the k-th turned by the angle at / 10000^(k / pairs), at (B, T)."""
    first, second = x.unflatten(2, (heads, -1)).chunk(2, -1)  # (B, T, heads, pairs)
    pairs = first.shape[-1]
    speed = 10000 ** (-torch.arange(pairs, device=x.device, dtype=torch.double) / pairs)
    angle = at.view(*at.shape, 1, 1) * speed
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1).flatten(2)

"""One transformer layer of scGPT: known tokens attend to each other, a query to all known tokens and to itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad, relu, scaled_dot_product_attention

SPARE = 8  # columns that hold a query's own score: fused kernels want widths in multiples of 8


class Layer(nn.Module):
    """Post-norm, ReLU feed-forward; parameters are named as in `nn.TransformerEncoderLayer`."""

    def __init__(self, d: int, heads: int, d_hid: int, dropout: float, attention_dropout: float):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d, heads)  # for its parameters and how they start; never called
        self.linear1, self.linear2 = nn.Linear(d, d_hid), nn.Linear(d_hid, d)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.dropout = nn.Dropout(dropout)
        self.attention_dropout = attention_dropout

    def forward(self, known: Tensor, there: Tensor, query: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Known tokens `[b, k, d]` and queries `[b, q, d]` → the same; `there` bool `[b, 1, 1, k]`: no padding."""
        q, k, v = self._project(known)
        attended = self.self_attn.out_proj(_join(self._attend(q, k, v, there)))
        if query is not None:
            # As upstream has it, the output projection is not applied to queries.
            query = self._finish(query, _join(self._attend_with_itself(*self._project(query), k, v, there)))
        return self._finish(known, attended), query

    def _project(self, x: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value of every head: `[b, t, d]` → three times `[b, heads, t, d / heads]`."""
        qkv = linear(x, self.self_attn.in_proj_weight, self.self_attn.in_proj_bias).chunk(3, dim=-1)
        return tuple(part.unflatten(-1, (self.self_attn.num_heads, -1)).transpose(1, 2) for part in qkv)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, there: Tensor, scale: float | None = None) -> Tensor:
        dropout = self.attention_dropout if self.training else 0.0
        return scaled_dot_product_attention(q, k, v, attn_mask=there, dropout_p=dropout, scale=scale)

    def _attend_with_itself(self, q: Tensor, own_k: Tensor, own_v: Tensor, k: Tensor, v: Tensor, there: Tensor):
        """Each query over the `k` known keys and its own one, in one fused call of `q × (k + 1)` scores.

        One more key stands for "itself": it is 1 in a spare column and 0 elsewhere, and there a query holds its own
        score. Its value is 1 in that column too, so the column returns the weight which the query's own value gets.
        """
        width = q.shape[-1]
        itself = torch.zeros(width + SPARE, dtype=k.dtype, device=k.device)
        itself[width] = 1
        itself = itself.expand(*k.shape[:2], 1, -1)
        q = pad(torch.cat([q, (q * own_k).sum(-1, keepdim=True)], dim=-1), (0, SPARE - 1))
        k, v = (torch.cat([pad(x, (0, SPARE)), itself], dim=2) for x in (k, v))
        mixed = self._attend(q, k, v, pad(there, (0, 1), value=True), scale=width**-0.5)
        return mixed[..., :width] + mixed[..., width : width + 1] * own_v

    def _finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The rest of the layer, the same for known tokens and queries."""
        x = self.norm1(x + self.dropout(attended))
        return self.norm2(x + self.dropout(self.linear2(self.dropout(relu(self.linear1(x))))))


def _join(heads: Tensor) -> Tensor:
    """`[b, heads, t, d / heads]` → `[b, t, d]`."""
    return heads.transpose(1, 2).flatten(2)

"""One transformer layer of scGPT: known tokens attend to each other, a query attends to known tokens and to itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad, relu, scaled_dot_product_attention

SPARE = 8  # columns for a query's score with itself: fused kernels need widths in multiples of 8


class Layer(nn.Module):
    """A post-norm layer with a ReLU feed-forward. Parameters are named as in `nn.TransformerEncoderLayer`."""

    def __init__(self, d: int, heads: int, d_hid: int, dropout: float, attention_dropout: float):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d, heads)  # holds and starts the parameters; never called
        self.linear1, self.linear2 = nn.Linear(d, d_hid), nn.Linear(d_hid, d)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.dropout = nn.Dropout(dropout)
        self.attention_dropout = attention_dropout

    def forward(self, known: Tensor, valid: Tensor, query: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Known tokens `[b, k, d]` and queries `[b, q, d]` → the same; `valid` bool `[b, 1, 1, k]`: no padding."""
        q, k, v = self._project(known)
        attended = self.self_attn.out_proj(_join(self._attend(q, k, v, valid)))
        if query is not None:
            # The output projection is not applied to queries, as in the authors' code.
            query = self._finish(query, _join(self._attend_with_itself(*self._project(query), k, v, valid)))
        return self._finish(known, attended), query

    def _project(self, x: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value of every head: `[b, t, d]` → three times `[b, heads, t, d / heads]`."""
        qkv = linear(x, self.self_attn.in_proj_weight, self.self_attn.in_proj_bias).chunk(3, dim=-1)
        return tuple(part.unflatten(-1, (self.self_attn.num_heads, -1)).transpose(1, 2) for part in qkv)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, valid: Tensor, scale: float | None = None) -> Tensor:
        """Attention of all heads to the valid keys, `[b, heads, t, d / heads]`."""
        dropout = self.attention_dropout if self.training else 0.0
        return scaled_dot_product_attention(q, k, v, attn_mask=valid, dropout_p=dropout, scale=scale)

    def _attend_with_itself(self, q: Tensor, self_k: Tensor, self_v: Tensor, k: Tensor, v: Tensor, valid: Tensor):
        """Attention of each query to the `k` known keys and to its own key, in one fused call of `q × (k + 1)` scores.

        One more key stands for "itself". It is 1 in a spare column and 0 elsewhere, and in that column each query holds
        its score with itself. The value of this key is 1 in that column too, so the column returns the weight of the
        query's own value.
        """
        width = q.shape[-1]
        itself = torch.zeros(width + SPARE, dtype=k.dtype, device=k.device)
        itself[width] = 1
        itself = itself.expand(*k.shape[:2], 1, -1)
        q = pad(torch.cat([q, (q * self_k).sum(-1, keepdim=True)], dim=-1), (0, SPARE - 1))
        k, v = (torch.cat([pad(x, (0, SPARE)), itself], dim=2) for x in (k, v))
        mixed = self._attend(q, k, v, pad(valid, (0, 1), value=True), scale=width**-0.5)
        return mixed[..., :width] + mixed[..., width : width + 1] * self_v

    def _finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The rest of the layer, the same for known tokens and queries."""
        x = self.norm1(x + self.dropout(attended))
        return self.norm2(x + self.dropout(self.linear2(self.dropout(relu(self.linear1(x))))))


def _join(heads: Tensor) -> Tensor:
    """`[b, heads, t, d / heads]` → `[b, t, d]`."""
    return heads.transpose(1, 2).flatten(2)

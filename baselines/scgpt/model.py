"""The network of scGPT: a cell's genes are tokens, each a gene's vector plus a value's; the first token is the cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from baselines.scgpt.heads import CellDecoder, Discriminator, MixtureDecoder, ValueDecoder
from baselines.scgpt.layer import Layer

LARGEST = 512.0  # greater values are clipped to this one


class GeneEncoder(nn.Module):
    """Normalised vector of each gene. The padding token's vector is never trained."""

    def __init__(self, n_tokens: int, d: int, pad: int):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, d, padding_idx=pad)
        self.enc_norm = nn.LayerNorm(d)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def forward(self, genes: Tensor) -> Tensor:
        """`[b, t]` → `[b, t, d]`."""
        return self.enc_norm(self.embedding(genes))


class ValueEncoder(nn.Module):
    """Vector of a value: the number of its bin, through two layers."""

    def __init__(self, d: int, dropout: float):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(1, d), nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor) -> Tensor:
        """`[b, t]` → `[b, t, d]`."""
        return self.dropout(self.norm(self.linear2(relu(self.linear1(values.clamp(max=LARGEST)[..., None])))))


class ScGPT(nn.Module):
    """Parameters are named as in the official checkpoints: 163 tensors as published, 186 for scGPT-spatial.

    Cui et al., Nature Methods 21:1470 (2024); Wang et al., bioRxiv 2025.02.05.636714 (experts, `impute`).

    Args:
        n_tokens: genes and special tokens of the vocabulary.
        pad: the token that pads.
        attention_dropout: None: as `dropout`. At any value but 0 a CPU cannot use its fused kernel: a step takes 3
            times as long.
        generative: whether it has the flag that tells a query from a known token. Models of the package `scgpt` 0.2.4
            have none.
        experts: of the value decoder; 0: a single decoder, no mixture.
        impute: whether it has the head that predicts a cell from its neighbours.
        zero_prob: whether it has the heads that predict whether a gene is expressed. A mixture of experts has none.
        n_domains: domains that the discriminator tells apart; 0: no discriminator.
    """

    def __init__(
        self,
        n_tokens: int,
        pad: int,
        d: int = 512,
        heads: int = 8,
        layers: int = 12,
        d_hid: int = 512,
        dropout: float = 0.2,
        attention_dropout: float | None = None,
        generative: bool = True,
        experts: int = 0,
        impute: bool = False,
        zero_prob: bool = False,
        n_domains: int = 0,
    ):
        super().__init__()
        if attention_dropout is None:
            attention_dropout = dropout
        self.encoder = GeneEncoder(n_tokens, d, pad)
        if generative:
            self.flag_encoder = nn.Embedding(2, d)
        self.value_encoder = ValueEncoder(d, dropout)
        stack = nn.ModuleList(Layer(d, heads, d_hid, dropout, attention_dropout) for _ in range(layers))
        self.transformer_encoder = nn.ModuleDict({"layers": stack})
        self.decoder = MixtureDecoder(d, experts) if experts else ValueDecoder(d, zero_prob)
        self.mvc_decoder = CellDecoder(d, zero_prob)
        if impute:
            self.impute_mvc_decoder = CellDecoder(d)
        if n_domains:
            self.grad_reverse_discriminator = Discriminator(d, n_domains)

    def encode(self, genes: Tensor, values: Tensor, padding: Tensor) -> Tensor:
        """All tokens attend to all tokens: `[b, t]` → `[b, t, d]`.

        Args:
            genes: int64 `[b, t]`. The first token is the cell ("CLS"), which may not be padding.
            values: `[b, t]`.
            padding: bool, True where padded, `[b, t]`.
        """
        h, valid = self.encoder(genes) + self.value_encoder(values), ~padding[:, None, None]
        for layer in self.transformer_encoder["layers"]:
            h, _ = layer(h, valid)
        return h

    def generate(
        self,
        known_genes: Tensor,
        known_values: Tensor,
        known_padding: Tensor,
        query_genes: Tensor,
        cell: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Known tokens attend to known tokens. A query, whose value is not given, attends to these and to itself.

        Args:
            known_genes, known_values, known_padding: as in `encode`, `[b, k]`.
            query_genes: `[b, q]`. No other token sees a query, so padding among the queries changes nothing else.
            cell: replaces the input of the first known token, `[b, d]`.

        Returns:
            Known tokens `[b, k, d]` and queries `[b, q, d]`.
        """
        known, valid = self.encoder(known_genes) + self.value_encoder(known_values), ~known_padding[:, None, None]
        if cell is not None:
            known = torch.cat([cell[:, None], known[:, 1:]], dim=1)
        query = self.encoder(query_genes) + self.flag_encoder.weight[1]
        for layer in self.transformer_encoder["layers"]:
            known, query = layer(known, valid, query)
        return known, query

    def value(self, h: Tensor) -> Tensor:
        """Predicted values: `[..., d]` → `[...]`."""
        return self.decoder(h)

    def zero_probability(self, h: Tensor) -> Tensor:
        """Probability that a token's gene is expressed (the authors' "zero probability"): `[..., d]` → `[...]`."""
        return self.decoder.zero_logit(h).squeeze(-1).sigmoid()

    def mvc(self, cell: Tensor, genes: Tensor) -> Tensor:
        """Values of the genes `[b, t]` from the cell `[b, d]` alone → `[b, t]`."""
        return self.mvc_decoder(cell, self.encoder(genes))

    def mvc_with_zero_probability(self, cell: Tensor, genes: Tensor) -> tuple[Tensor, Tensor]:
        """Values of the genes, and probabilities that they are expressed, both from the cell alone, `[b, t]` each."""
        value, logit = self.mvc_decoder.with_zero_logit(cell, self.encoder(genes))
        return value, logit.sigmoid()

    def impute(self, cell: Tensor, genes: Tensor) -> Tensor:
        """Values of the genes `[b, t]` from the mean of a spot's neighbours `[b, d]` → `[b, t]`."""
        return self.impute_mvc_decoder(cell, self.encoder(genes))

    def discriminate(self, cell: Tensor) -> Tensor:
        """Logits of the cells' domains: `[b, d]` → `[b, n_domains]`; the encoder learns to hide the domain."""
        return self.grad_reverse_discriminator(cell)

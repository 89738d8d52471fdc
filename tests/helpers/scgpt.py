"""A small scGPT of random weights, a batch of cells, and comparisons of tensors."""

import torch

from baselines.scgpt.model import ScGPT

PAD, D, HEADS, LAYERS, D_HID = 20, 16, 2, 2, 24
B, K, Q = 3, 6, 5  # cells, known tokens, queries


def small(seed=0, **settings):
    """A model in float64, in training mode but without dropout."""
    torch.manual_seed(seed)
    return ScGPT(PAD + 1, PAD, D, HEADS, LAYERS, D_HID, **({"dropout": 0.0} | settings)).double().train()


def cells(seed=0):
    """Known genes, values, padding (the last tokens of every cell after the first), and query genes."""
    generator = torch.Generator().manual_seed(seed)
    genes = torch.randint(0, PAD, (B, K + Q), generator=generator)
    values = torch.randint(1, 51, (B, K), generator=generator).double()
    padding = torch.arange(K).expand(B, K) >= torch.tensor([K, K - 1, K - 3])[:, None]
    return genes[:, :K].masked_fill(padding, PAD), values.masked_fill(padding, -2), padding, genes[:, K:]


def equal(a, b):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def differ(a, b) -> bool:
    return float((a - b).detach().abs().max()) > 1e-6

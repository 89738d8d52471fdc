"""The official scGPT package and ours with the same weights and the same batches. Skips where the package is absent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from baselines.scgpt.losses import ecs, masked_mse, zero_nll
from baselines.scgpt.model import ScGPT

part = partial(pytest.importorskip, reason="the official scGPT package is absent: `make parity` makes its environment")
part("scgpt", exc_type=ImportError)
losses, model = part("scgpt.loss"), part("scgpt.model")

PAD, MASKED, N_BINS, THRESHOLD = -2, -1, 51, 0.8  # value of padding, value of a hidden bin, bins, threshold of ECS
SPECIAL = ("<pad>", "<cls>", "<eoc>")


@dataclass(frozen=True)
class Size:
    """Sizes of a model and of its vocabulary."""

    n_genes: int = 60
    d: int = 32
    heads: int = 4
    layers: int = 2
    d_hid: int = 48

    @property
    def vocab(self) -> dict[str, int]:
        """Genes first and special tokens last, as in the released vocabulary."""
        return {token: row for row, token in enumerate([*(f"G{i}" for i in range(self.n_genes)), *SPECIAL])}


class Batch(NamedTuple):
    """Tokens, "CLS" first, `[b, t]` each, and the domain of each cell, `[b]`.

    `target` has all bins. In `values` the `hidden` ones are masked.
    """

    genes: Tensor
    target: Tensor
    values: Tensor
    padding: Tensor
    hidden: Tensor
    domain: Tensor

    def to(self, dtype: torch.dtype) -> Batch:
        """The batch with values of another type."""
        return self._replace(target=self.target.to(dtype), values=self.values.to(dtype))


def pair(size: Size, seed: int = 0, dropout: float = 0.0, zero_prob: bool = False, n_domains: int = 0):
    """The official model and ours with the same random weights: the official start, with noise added."""
    torch.manual_seed(seed)
    official = model.TransformerModel(
        len(size.vocab),
        size.d,
        size.heads,
        size.d_hid,
        size.layers,
        vocab=size.vocab,
        dropout=dropout,
        pad_value=PAD,
        do_mvc=True,
        do_dab=n_domains > 0,
        num_batch_labels=n_domains,
        ecs_threshold=THRESHOLD,
        explicit_zero_prob=zero_prob,
    )
    with torch.no_grad():
        for name, weight in official.named_parameters():
            if name != "encoder.embedding.weight":
                weight.add_(torch.randn_like(weight), alpha=0.05)
    ours = ScGPT(
        *(len(size.vocab), size.vocab["<pad>"], size.d, size.heads, size.layers, size.d_hid, dropout, 0.0),
        generative=False,
        zero_prob=zero_prob,
        n_domains=n_domains,
    )
    ours.load_state_dict(shared(official))
    return official, ours


def shared(official: nn.Module) -> dict[str, Tensor]:
    """Its tensors without those of the cell-type head, which ours does not have."""
    return {name: value for name, value in official.state_dict().items() if not name.startswith("cls_decoder.")}


def batch(size: Size, seed: int = 0, b: int = 6, t: int = 24) -> Batch:
    """Random bins, some of them zero. The first cell has no padding, and each further cell has more."""
    generator = torch.Generator().manual_seed(seed)
    length = torch.linspace(t, max(2, t // 3), b).long()
    padding = torch.arange(t) >= length[:, None]
    genes = torch.stack([torch.randperm(size.n_genes, generator=generator)[:t] for _ in range(b)])
    target = torch.randint(0, N_BINS, (b, t), generator=generator).float()
    genes[:, 0], target[:, 0] = size.vocab["<cls>"], PAD
    genes[padding], target[padding] = size.vocab["<pad>"], PAD
    hidden = (torch.rand(b, t, generator=generator) < 0.4) & ~padding
    hidden[:, 0], hidden[:, 1] = False, True
    values = target.masked_fill(hidden, MASKED)
    return Batch(genes, target, values, padding, hidden, torch.arange(b) % 3)


def official_losses(official: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Every loss from the official functions, weighted as in the official fine-tuning script."""
    out = official(batch.genes, batch.values, src_key_padding_mask=batch.padding, MVC=True, ECS=True)
    by_name = {
        "mse": losses.masked_mse_loss(out["mlm_output"], batch.target, batch.hidden),
        "mvc": losses.masked_mse_loss(out["mvc_output"], batch.target, batch.hidden),
        "ecs": 10 * out["loss_ecs"],
    }
    if official.explicit_zero_prob:
        for name, probability in (("zero", out["mlm_zero_probs"]), ("mvc_zero", out["mvc_zero_probs"])):
            by_name[name] = losses.criterion_neg_log_bernoulli(probability, batch.target, batch.hidden)
    if official.do_dab:
        by_name["dab"] = cross_entropy(out["dab_output"], batch.domain)
    return by_name


def our_losses(ours: ScGPT, batch: Batch) -> dict[str, Tensor]:
    """The same losses from our functions, which read out hidden tokens alone, as in pretraining."""
    h = ours.encode(batch.genes, batch.values, batch.padding)
    cell, at = h[:, 0], batch.hidden.flatten().nonzero().squeeze(1)
    read, target, by_name = h.flatten(0, 1).index_select(0, at), batch.target.flatten()[at], {}
    if hasattr(ours.decoder, "zero_logit"):
        mvc, probability = ours.mvc_with_zero_probability(cell, batch.genes)
        by_name["zero"] = zero_nll(ours.zero_probability(read), target, torch.ones_like(target))
        by_name["mvc_zero"] = zero_nll(probability, batch.target, batch.hidden)
    else:
        mvc = ours.mvc(cell, batch.genes)
    by_name["mse"] = masked_mse(ours.value(read), target, torch.ones_like(target))
    by_name["mvc"] = masked_mse(mvc, batch.target, batch.hidden)
    by_name["ecs"] = 10 * ecs(cell, THRESHOLD)
    if hasattr(ours, "grad_reverse_discriminator"):
        by_name["dab"] = cross_entropy(ours.discriminate(cell), batch.domain)
    return by_name


def gradients(network: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """The gradient of every parameter that the loss depends on."""
    network.zero_grad(set_to_none=True)
    loss.backward()
    return {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}


def save(official: nn.Module, size: Size, folder: Path, fused: bool = False) -> Path:
    """A checkpoint folder in the official layout. `fused`: with the names of flash attention's layers."""
    args = {"embsize": size.d, "nheads": size.heads, "d_hid": size.d_hid, "nlayers": size.layers, "n_layers_cls": 3}
    args |= {"dropout": 0.2, "pad_token": "<pad>", "pad_value": PAD, "mask_value": MASKED, "n_bins": N_BINS}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "args.json").write_text(json.dumps(args))
    (folder / "vocab.json").write_text(json.dumps(size.vocab))
    state = official.state_dict()
    if fused:
        state = {name.replace(".in_proj_", ".Wqkv."): value for name, value in state.items()}
    torch.save(state, folder / "best_model.pt")
    return folder

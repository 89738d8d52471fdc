"""The methods `scgpt` and `scgpt_spatial`: pretrained within a budget, from scratch or from released weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from baselines.scgpt.checkpoint import Checkpoint, load, read_folder
from baselines.scgpt.model import ScGPT
from baselines.scgpt.module import OBJECTIVES, ObjectiveName
from baselines.scgpt.unit import ScGPTUnit
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import write_atomic
from benchmark.model.trunk import PRESETS
from benchmark.training.budget import Budget, Meter
from benchmark.training.learner import INFERENCE_TOKENS, Learner
from benchmark.training.loop import pretrain, tensors

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

PAD, CLS, EOC = "<pad>", "<cls>", "<eoc>"
DROPOUT = 0.2
LEARNING_RATE = 1e-4  # the authors', for released weights
LEAST_SHARED = 0.5  # share of a corpus's genes that a vocabulary must have


class Scgpt(Learner):
    """scGPT (Cui et al. 2024, Nature Methods 21:1470): a spot's non-zero genes as tokens, each with its bin.

    Model, objective and embedding are the authors'. What all units share is the benchmark's: sizes and learning rates
    (`preset`, with a feed-forward as wide as the model), AdamW, the schedule and the clipping. The authors use Adam at
    1e-4, 10,000 steps of warm-up and a cosine. Dropout is 0.2. Attention has dropout on a GPU only, since on a CPU a
    step would take three times as long.

    Args:
        n_tokens: genes of a spot that are shown at once, without CLS.
        batch_size: spots of a step.
        preset: size of the model.
        objective: "generative", or "masked": plain masked prediction.
        ecs: whether the elastic cell similarity of the authors' fine-tuning is added.
        gene_mean: whether counts are divided by their gene's mean before they are binned, as in scGPT-spatial.
        checkpoint: folder of released weights to start from, with a size and a vocabulary of their own. An amount of 0
            embeds with these weights as they are. The authors' models saw up to 1,199 genes of a spot.
    """

    reconstruct = None  # a spot is embedded alone, without spots from which a hidden spot could be reconstructed
    experts, neighbour_weight, neighbours = 0, 0.0, None

    def __init__(
        self,
        n_tokens: PositiveInt = 128,
        batch_size: PositiveInt = 16,
        preset: str = "tiny",
        objective: ObjectiveName = "generative",
        ecs: bool = False,
        gene_mean: bool = False,
        checkpoint: str | None = None,
    ):
        super().__init__(ScGPTUnit(n_tokens, batch_size, gene_mean=gene_mean), preset, panels=False)
        self.objective, self.ecs, self.checkpoint = objective, ecs, checkpoint
        self.reference = "not compute-matched" if checkpoint else ""

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: settings that these slides cannot serve, or a checkpoint that does not fit them."""
        super().check(corpus)
        if self.checkpoint:
            tokens(read_folder(Path(self.checkpoint)), corpus)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> Meter | None:
        """Spend the budget on the corpus. An amount of 0 leaves the model untrained, or as it was released.

        Returns:
            The meter; None where nothing was spent.
        """
        super().check(corpus)
        torch.manual_seed(seed)
        net, cls, token, learning_rate = self._released(corpus) if self.checkpoint else self._drawn(corpus)
        if budget.amount > 0:
            self._check_heads(net)
        self.sampler = replace(self.sampler, token=token).fit(corpus)
        neighbours = self.neighbours or usual_neighbours(corpus)
        self.model = OBJECTIVES[self.objective](net, cls, self.neighbour_weight, neighbours, self.ecs)
        spent = None
        if budget.amount > 0:
            spent = pretrain(self.model, self.sampler, corpus, budget, seed, learning_rate)
        self.model.eval()
        return spent

    @torch.inference_mode()
    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, d]`, each of length 1. Genes and ties are drawn alike each time, so a slide has one embedding."""
        device = next(self.model.parameters()).device
        parts = self.sampler.cover(slide, INFERENCE_TOKENS)
        return torch.cat([self.model.embed(tensors(part, device)).float().cpu() for part in parts]).numpy()

    def save(self, path: Path) -> None:
        """Weights as safetensors, named as in the official checkpoints."""
        from safetensors.torch import save_file

        write_atomic(path, lambda temporary: save_file(self.model.net.state_dict(), temporary))

    def load(self, path: Path) -> None:
        """Read the weights that `save` wrote, after a fit with amount 0."""
        from safetensors.torch import load_file

        self.model.net.load_state_dict(load_file(path))

    def _drawn(self, corpus: Corpus) -> tuple[ScGPT, int, None, float]:
        """An untrained model of the preset's size.

        Returns:
            The model, the token of a cell, no tokens (genes are their own), and the learning rate.
        """
        pad, size = len(corpus.genes), PRESETS[self.preset]
        vocabulary = pad + len((PAD, CLS, EOC))
        sizes = (size.d, size.heads, size.layers, size.d, DROPOUT, attention_dropout())
        net = ScGPT(vocabulary, pad, *sizes, experts=self.experts, impute=self.neighbour_weight > 0)
        return net, pad + 1, None, size.learning_rate

    def _released(self, corpus: Corpus) -> tuple[ScGPT, int, np.ndarray, float]:
        """The checkpoint's model.

        Returns:
            The model, the token of a cell, the token of each gene of the corpus, and the authors' learning rate.
        """
        released = read_folder(Path(self.checkpoint))
        token = tokens(released, corpus)
        return load(released, attention_dropout=attention_dropout()), released.vocab[CLS], token, LEARNING_RATE

    def _check_heads(self, net: ScGPT) -> None:
        """Raises UnitBenchError: a released model lacks a part that its training needs."""
        if self.objective == "generative" and not hasattr(net, "flag_encoder"):
            raise UnitBenchError(self.checkpoint, "was made for no queries", "set objective to masked")
        if self.neighbour_weight and not hasattr(net, "impute_mvc_decoder"):
            raise UnitBenchError(self.checkpoint, "has no neighbour head", "set neighbour_weight to 0")


class ScgptSpatial(Scgpt):
    """scGPT-spatial (Wang et al. 2025, bioRxiv 2025.02.05.636714): scGPT with windows, neighbours and experts.

    Its training code is not released. Windows follow the paper's figure. The number of neighbours, the weights and the
    sizes are choices of this benchmark. Where `window`, `neighbour_weight` and `experts` are 0 and `gene_mean` is
    false, it is scGPT.

    Args:
        n_tokens, batch_size, preset, objective, ecs, gene_mean, checkpoint: as in `Scgpt`.
        window: spots of a step: those of one slide that are nearest to a random spot; 0: `batch_size` spots of all
            slides.
        neighbours: nearest spots of the window that predict a spot; null: 4 on square lattices, else 6.
        neighbour_weight: weight of this prediction in the loss.
        experts: of the value decoder, which uses two of them for a token; 0: a single decoder, no mixture.
        shuffle_coordinates: negative control: the spots of each slide change places.
    """

    def __init__(
        self,
        n_tokens: PositiveInt = 128,
        batch_size: PositiveInt = 16,
        preset: str = "tiny",
        objective: ObjectiveName = "generative",
        ecs: bool = False,
        gene_mean: bool = True,
        checkpoint: str | None = None,
        window: NonNegativeInt = 16,
        neighbours: PositiveInt | None = None,
        neighbour_weight: NonNegativeFloat = 1.0,
        experts: NonNegativeInt = 4,
        shuffle_coordinates: bool = False,
    ):
        super().__init__(n_tokens, batch_size, preset, objective, ecs, gene_mean, checkpoint)
        if neighbour_weight and window <= (neighbours or 6):
            cause = f"in a window of {window} spots, a spot does not have {neighbours or 6} neighbours"
            raise UnitBenchError("scgpt_spatial", cause, "set a larger window or neighbour_weight 0")
        self.sampler = replace(self.sampler, window=window, shuffle_coordinates=shuffle_coordinates)
        self.experts, self.neighbours, self.neighbour_weight = experts, neighbours, neighbour_weight


def attention_dropout() -> float:
    """Dropout in attention: none on a CPU, where it would make a step three times as long."""
    return DROPOUT if torch.cuda.is_available() else 0.0


def tokens(checkpoint: Checkpoint, corpus: Corpus) -> np.ndarray:
    """Token of each gene of the corpus, -1 where the vocabulary has none, `[n_genes]`.

    Raises:
        UnitBenchError: the vocabulary lacks the cell's token, or more than half of the genes.
    """
    where, vocab = checkpoint.path.parent / "vocab.json", checkpoint.vocab
    if CLS not in vocab:
        raise UnitBenchError(where, f"no token {CLS!r}", "give the vocabulary that was saved with the weights")
    token = np.array([vocab.get(gene, -1) for gene in corpus.genes])
    if (token >= 0).mean() < LEAST_SHARED:
        cause = f"has {(token >= 0).sum():,} of the slides' {len(token):,} genes, under half"
        raise UnitBenchError(where, cause, "give slides whose genes have human symbols")
    return token


def usual_neighbours(corpus: Corpus) -> int:
    """Number of spots next to a spot on its lattice: 4 on a square lattice, else 6."""
    return 4 if {lattice["kind"] for lattice in corpus.table["lattice"]} == {"square"} else 6

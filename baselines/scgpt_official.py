"""Reference: the official scGPT package with a released checkpoint, in an environment of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.core.errors import UnitBenchError

if TYPE_CHECKING:
    import anndata as ad

    from baselines.scgpt.checkpoint import Checkpoint
    from benchmark.data.corpus import Corpus

WEIGHTS = "best_model.pt"  # of what a folder may hold, the one file of weights that the package reads
SETTINGS = ("n_layers_cls", "pad_value")  # of args.json, asked by the package and not by our own model


class ScGPTOfficial:
    """`scgpt.tasks.embed_data` of scgpt 0.2.4 on a folder with args.json, vocab.json and best_model.pt.

    Nothing is trained here, so no budget is spent: what it cost to train the checkpoint is no part of the comparison.

    Args:
        folder: the checkpoint; without one every row is "not applicable".
        max_length: of a spot's non-zero genes and CLS, as many as this are its tokens; of more, a random subset.
        seen: names of slides, or of whole datasets, that the checkpoint was pretrained on; their rows say so.
    """

    unit = "none"
    reference = "not compute-matched"

    def __init__(self, folder: str | None = None, max_length: int = 1200, seen: Sequence[str] = ()):
        if max_length < 2:
            raise ValueError("max_length: CLS and a gene are 2 tokens at least")
        self.folder, self.max_length, self.pretrained_on = folder and Path(folder), max_length, list(seen)
        self.not_applicable = "" if folder else "no checkpoint"

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: the package would not load all of the checkpoint, or knows few of the genes."""
        if self.folder:
            from baselines.scgpt.method import tokens

            tokens(_whole(self.folder), corpus)

    def fit(self, corpus: Corpus, budget: object, seed: int) -> None:
        """Learns nothing. `seed` draws how ties are binned, and which genes a spot of too many keeps."""
        _whole(self.folder)
        self.seed = seed

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """Outputs of CLS, each of length 1: `[n_spots, d]` float32."""
        import torch
        from anndata import AnnData
        from scgpt.tasks import cell_emb  # only the environment has it

        os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # the package would run code that a pickled file holds
        cell_emb.DataLoader = _in_this_process
        np.random.seed(self.seed)  # noqa: NPY002  (the package draws from the global generators)
        torch.manual_seed(self.seed)
        counts = AnnData(slide.X, var=slide.var[[]].copy())  # the package writes on what it is given
        found = cell_emb.embed_data(
            counts, self.folder, gene_col="index", max_length=self.max_length, use_fast_transformer=False
        )
        return found.obsm["X_scGPT"]


def _whole(folder: Path) -> Checkpoint:
    """A checkpoint whose every tensor was read as a tensor, and has its place in the model: the package itself leaves
    out what it finds no place for, and says nothing.

    Raises:
        UnitBenchError: a file is absent, holds anything but tensors, or does not fit the others.
    """
    from baselines.scgpt.checkpoint import load, read_folder

    checkpoint = read_folder(folder)
    if checkpoint.path.name != WEIGHTS:
        cause = f"holds {checkpoint.path.name}, which the official package does not read"
        raise UnitBenchError(folder, cause, f"give a folder with {WEIGHTS} alone")
    if absent := [name for name in SETTINGS if name not in checkpoint.args]:
        raise UnitBenchError(folder / "args.json", f"no {', '.join(absent)}", "give that of the released folder")
    if any("._impl." in name for name in checkpoint.state):
        raise UnitBenchError(checkpoint.path, "names of a later release than 0.2.4", "remove `_impl.` from the names")
    load(checkpoint)
    return checkpoint


def _in_this_process(*parts: Any, **options: Any) -> Any:
    """The package's loader draws in as many processes as there are cores: draws would depend on the machine."""
    from torch.utils.data import DataLoader

    return DataLoader(*parts, **options | {"num_workers": 0})

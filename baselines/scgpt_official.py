"""The method `scgpt_official`: the official scGPT package with a released checkpoint, in another environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from benchmark.core.errors import UnitBenchError

if TYPE_CHECKING:
    import anndata as ad

    from baselines.scgpt.checkpoint import Checkpoint
    from benchmark.data.corpus import Corpus
    from benchmark.training.budget import Budget

WEIGHTS = "best_model.pt"  # the only file of weights that the package reads
SETTINGS = ("n_layers_cls", "pad_value")  # of args.json; the package needs them, our own model does not


class ScGPTOfficial:
    """`scgpt.tasks.embed_data` of scgpt 0.2.4 on a folder with args.json, vocab.json and best_model.pt.

    Nothing is trained, so no budget is spent. The cost of training the checkpoint is not compared.

    Args:
        folder: the checkpoint; null: every row is "not applicable".
        max_length: tokens of a spot, CLS included. A spot with more non-zero genes shows a random subset of them.
        seen: names of slides, or of whole datasets, that the checkpoint was pretrained on. Their rows say so.
    """

    unit = "none"
    reference = "not compute-matched"

    def __init__(
        self,
        folder: str | None = None,
        max_length: Annotated[int, Field(ge=2)] = 1200,  # CLS and a gene
        seen: tuple[str, ...] = (),
    ):
        self.folder, self.max_length, self.pretrained_on = folder and Path(folder), max_length, seen
        self.not_applicable = "" if folder else "no checkpoint"

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: the package would not load the whole checkpoint, or it knows few of the genes."""
        if self.folder:
            from baselines.scgpt.method import tokens

            tokens(_whole(self.folder), corpus)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Check the checkpoint. Nothing is learned; `seed` draws the bins of ties, and the genes of too many.

        Raises:
            UnitBenchError: there is no checkpoint, or the package would not load all of it.
        """
        if not self.folder:
            raise UnitBenchError("scgpt_official", self.not_applicable, "set folder to a checkpoint")
        _whole(self.folder)
        self.seed = seed

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """The outputs of CLS, each of length 1, `[n_spots, d]` float32."""
        import torch
        from anndata import AnnData
        from scgpt.tasks import cell_emb  # installed in its own environment only

        os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # else the package would run code in a pickled file
        cell_emb.DataLoader = _in_this_process
        np.random.seed(self.seed)  # noqa: NPY002  (the package draws from the global generators)
        torch.manual_seed(self.seed)
        counts = AnnData(slide.X, var=slide.var[[]].copy())  # the package changes its input
        embedded = cell_emb.embed_data(
            counts, self.folder, gene_col="index", max_length=self.max_length, use_fast_transformer=False
        )
        return embedded.obsm["X_scGPT"]


def _whole(folder: Path) -> Checkpoint:
    """A checkpoint of which the model has every tensor. The package itself would skip the others without a message.

    Raises:
        UnitBenchError: a file is absent, holds anything but tensors, or does not fit the other files.
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
    """A loader in this process. The package's uses a process for each core: draws would depend on the machine."""
    from torch.utils.data import DataLoader

    return DataLoader(*parts, **options | {"num_workers": 0})

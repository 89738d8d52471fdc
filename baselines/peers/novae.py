"""The peer `novae`: a graph network over neighbourhoods, trained from scratch or read from a folder, by the package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import PositiveInt

from baselines.peers.package import Package
from benchmark.core.errors import UnitBenchError
from benchmark.training.trained import Trained

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus
    from benchmark.training.budget import Budget

PACKAGE = Package("novae", "BSD-3-Clause")
SPACING = 20.0  # µm that stand for a pitch: the distance of cells by which the package divides all distances
RADIUS = 2.5 * SPACING  # links of the Delaunay graph that are longer, such as those along the rim, are left out
BATCH = 256  # the package's, where every slide has so many spots
FILES = ("config.json", "model.safetensors")  # of a checkpoint


class Novae(Trained):
    """Novae by its package: a graph network over neighbourhoods, trained from scratch on the training slides.

    Inductive, and not compute-matched: it trains `max_epochs` epochs whatever the budget. PyTorch's counter tells what
    they cost. Blampey et al. 2025 (Nature Methods, 10.1038/s41592-025-02899-6).

    Args:
        max_epochs: of training.
        hops: from a spot to the rim of its neighbourhood, and to the neighbourhood that it is compared with. null: what
            the package advises, 2 for cells, and 1 for spots in an array, such as those of Visium.
        checkpoint: a folder that `Novae.save_pretrained` wrote: it is used as it is, without training. null: from
            scratch. Nothing is ever downloaded.
        seen: names of slides, or of whole datasets, that the checkpoint was trained on. Their rows say so.
    """

    unit = "none"
    reference = "not compute-matched"
    software = str(PACKAGE)
    load = None  # `fit` trains at any amount

    def __init__(
        self,
        max_epochs: PositiveInt = 3,
        hops: PositiveInt | None = None,
        checkpoint: str | None = None,
        seen: tuple[str, ...] = (),
    ):
        self.max_epochs, self.hops, self.checkpoint = max_epochs, hops, checkpoint and Path(checkpoint)
        self.pretrained_on = seen

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: the folder of the checkpoint lacks a file."""
        for name in FILES if self.checkpoint else ():
            if not (self.checkpoint / name).is_file():
                remedy = "give a local folder that novae's save_pretrained wrote"
                raise UnitBenchError(self.checkpoint, f"no file {name}", remedy)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Read the checkpoint, or train, and report what the training cost to `budget.meter`.

        Raises:
            UnitBenchError: the package is not installed, or refuses the slides, or the checkpoint lacks a file.
        """
        import torch

        package = PACKAGE.load("novae")
        self.check(corpus)
        if self.checkpoint:
            self.model = package.Novae.from_pretrained(self.checkpoint.resolve()).eval()
            return
        np.random.seed(seed)  # noqa: NPY002  (the package draws from the global generators)
        torch.manual_seed(seed)
        slides = _read(package, corpus)
        try:
            # The package has the genes in a set, whose order differs from process to process: sorted, all runs agree.
            genes = sorted(package.utils.prepare_adatas(slides)[1])
            batch = min(BATCH, *(slide.n_obs for slide in slides))
            hops = self.hops or advised_hops(corpus)
            self.model = package.Novae(slides, var_names=genes, n_hops_local=hops, n_hops_view=hops, batch_size=batch)
        except AssertionError as error:  # too few genes, say
            raise UnitBenchError("novae", f"the package refuses the slides ({error})", "leave it out") from None
        self._train(slides, budget)

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, 64]` float32; 0 for a spot without neighbours."""
        (spots,) = _read(PACKAGE.load("novae"), [slide])
        self.model.compute_representations(spots, accelerator=_device())
        return spots.obsm["novae_latent"]

    def _train(self, slides: list[ad.AnnData], budget: Budget) -> None:
        from benchmark.training.watch import Watch, unwatched

        with unwatched(), Watch() as watch:
            self.model.fit(
                max_epochs=self.max_epochs,
                accelerator=_device(),
                enable_progress_bar=False,
                enable_model_summary=False,
            )
        steps = self.model.trainer.global_step
        shown = sum(slide.obsp["spatial_distances_local"].nnz for slide in slides) / sum(s.n_obs for s in slides)
        spots = round(2 * shown * steps * self.model.hparams.batch_size)  # a neighbourhood, and the one beside it
        budget.meter.report(flops=watch.flops, spots=spots, steps=steps)
        self.model.eval()


def advised_hops(slides: Iterable[ad.AnnData]) -> int:
    """2 if some slide has cells, which lie anywhere; 1 if all have spots in an array."""
    return 2 if any(slide.uns["lattice"]["kind"] == "binned" for slide in slides) else 1


def _read(package: Any, slides: Iterable[ad.AnnData]) -> list[ad.AnnData]:
    """The slides as the package takes them, with their graphs. It would normalise counts likewise, but takes counts
    below 10 for values that are normalised already."""
    import scanpy as sc
    from anndata import AnnData

    made = []
    for slide in slides:
        spots = AnnData(slide.X.copy(), obs=slide.obs[[]].copy(), var=slide.var[[]].copy())
        spots.obs["slide"] = slide.uns["slide"]
        spots.obsm["spatial"] = slide.obsm["position"] * SPACING
        sc.pp.normalize_total(spots)
        sc.pp.log1p(spots)
        made.append(spots)
    package.spatial_neighbors(made, slide_key="slide", radius=RADIUS, verbose=False)
    return made


def _device() -> str:
    import torch

    return "gpu" if torch.cuda.is_available() else "cpu"

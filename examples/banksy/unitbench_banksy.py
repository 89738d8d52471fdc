"""An example of a peer whose licence asks for a package of its own: BANKSY, by pybanksy (GPL-3.0)."""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from io import StringIO

import anndata as ad
import numpy as np
import pandas as pd
from banksy.embed_banksy import generate_banksy_matrix
from banksy.initialize_banksy import initialize_banksy
from sklearn.decomposition import PCA

from benchmark.data.components import components
from benchmark.data.corpus import Corpus


@dataclass
class Banksy:
    """BANKSY by its package: genes, their means over neighbours and their gradients, then components of all three.

    Inductive: the components are fitted on the training slides. Singhal et al. 2024 (Nature Genetics 56, 431).

    `weight`: λ, of the neighbours; `neighbours`: how many; `n_genes`: those of the greatest Moran's I, each scaled
    within its slide, as `pca_strong` has them.
    """

    weight: float = 0.8
    neighbours: int = 18
    n_genes: int = 2000
    n_components: int = 50
    unit = "none"
    software = f"pybanksy {version('pybanksy')} (GPL-3.0)"

    def fit(self, corpus: Corpus, budget: object, seed: int) -> None:
        """Fit the components. Nothing is spent."""
        self.scaling = components(corpus, self.n_components, self.n_genes, "slide_z", "moran").scaling
        values = np.concatenate([self._matrix(slide) for slide in corpus])
        self.pca = PCA(min(self.n_components, *values.shape), svd_solver="covariance_eigh").fit(values)

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, n_components]`."""
        return self.pca.transform(self._matrix(slide))

    def _matrix(self, slide: ad.AnnData) -> np.ndarray:
        """The three blocks side by side, `[n_spots, 3 * n_genes]`."""
        position, near = np.array(slide.obsm["position"], np.float64), min(self.neighbours, slide.n_obs // 2 - 1)
        obs = pd.DataFrame(position, slide.obs_names, ["y", "x"])
        spots = ad.AnnData(self.scaling.values(slide), obs, obsm={"xy": position[:, ::-1]})
        plots = dict.fromkeys(("plt_edge_hist", "plt_nbr_weights", "plt_theta"), False)
        with redirect_stdout(StringIO()):  # it prints what it does
            graphs = initialize_banksy(spots, ("x", "y", "xy"), num_neighbours=near, max_m=1, **plots)
            _, joined = generate_banksy_matrix(spots, graphs, [self.weight], 1, verbose=False)
        return np.asarray(joined.X)

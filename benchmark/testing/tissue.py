"""The small simulated tissue that plugins are checked on, and whether something changed a slide."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated

if TYPE_CHECKING:
    from anndata import AnnData

    from benchmark.data.corpus import Corpus


@cache
def tissue() -> Corpus:
    """3 donors with a slide each: about 137 spots, 300 genes, labels and an image."""
    return _written(Simulated(n_donors=3, slides_per_donor=1, shape=(12, 12), n_genes=300, depth=300))


@cache
def crumbs() -> Corpus:
    """2 donors with a slide each that is too small for most settings: about 15 spots, 20 genes, no image."""
    return _written(Simulated(n_donors=2, slides_per_donor=1, shape=(4, 4), n_genes=20, depth=100, image=False))


def _written(data: Simulated) -> Corpus:
    return write_corpus(data.slides(), scratch(), data.record())


def scratch() -> Path:
    """A new folder that goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="unitbench-check-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def fingerprint(slide: AnnData) -> str:
    """Differs wherever counts, names, positions or labels do."""
    digest = hashlib.sha256()
    for array in (slide.X.data, slide.X.indices, slide.X.indptr, *(slide.obsm[key] for key in sorted(slide.obsm))):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(slide.obs.to_csv().encode() + slide.var.to_csv().encode())
    digest.update(repr(sorted(slide.uns) + sorted(slide.layers)).encode())
    return digest.hexdigest()

"""The method `scgpt_official` beside the package that it calls: the same embeddings, and the same on any machine."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import torch

from benchmark.core.registry import make

part = partial(pytest.importorskip, reason="the official scGPT package is absent: `make parity` makes its environment")
part("scgpt", exc_type=ImportError)
ARGS = {"embsize": 32, "nheads": 4, "nlayers": 2, "d_hid": 48, "dropout": 0.2, "n_layers_cls": 3}
ARGS |= {"pad_token": "<pad>", "pad_value": -2}


@pytest.fixture
def folder(tissue, tmp_path):
    """A checkpoint of the official model with random weights, its vocabulary the tissue's genes."""
    from scgpt.model import TransformerModel

    vocab = {token: row for row, token in enumerate([*tissue.genes, "<pad>", "<cls>", "<eoc>"])}
    torch.manual_seed(0)
    model = TransformerModel(
        len(vocab), 32, 4, 48, 2, nlayers_cls=3, n_cls=1, vocab=vocab, do_mvc=True, use_fast_transformer=False
    )
    torch.save(model.state_dict(), tmp_path / "best_model.pt")
    for name, value in (("args", ARGS), ("vocab", vocab)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    return tmp_path


def embedded(folder, tissue, seed: int, **options) -> np.ndarray:
    method = make("methods", "scgpt_official", {"folder": str(folder), **options})
    method.check(tissue)
    method.fit(tissue, None, seed)
    return method.embed(tissue[tissue.names[0]])


def test_the_embeddings_are_those_of_the_package(folder, tissue):
    from scgpt.tasks import embed_data

    slide = tissue[tissue.names[0]]
    theirs = embed_data(slide.copy(), folder, gene_col="index").obsm["X_scGPT"]
    ours = embedded(folder, tissue, 0)
    assert ours.shape == (slide.n_obs, 32) and (ours * theirs).sum(axis=1).min() > 0.99  # ties are binned at random


def test_one_seed_gives_one_embedding_on_however_many_cores(folder, tissue, monkeypatch):
    few = embedded(folder, tissue, 3, max_length=8)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(7)))
    assert np.array_equal(few, embedded(folder, tissue, 3, max_length=8))
    assert not np.array_equal(few, embedded(folder, tissue, 4, max_length=8))


def test_the_slide_is_left_as_it_was(folder, tissue):
    slide = tissue[tissue.names[0]]
    columns, keys = list(slide.var), list(slide.obsm)
    embedded(folder, tissue, 0)
    assert (list(slide.var), list(slide.obsm)) == (columns, keys)


class Runs:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_replaces_the_checkpoint_is_not_run(folder, tissue):
    """Also after the check: the package itself reads the file without protection."""
    method = make("methods", "scgpt_official", {"folder": str(folder)})
    method.fit(tissue, None, 0)
    torch.save({"encoder.embedding.weight": Runs(folder / "mark")}, folder / "best_model.pt")
    with pytest.raises(Exception, match="Weights only load failed"):
        method.embed(tissue[tissue.names[0]])
    assert not (folder / "mark").exists()

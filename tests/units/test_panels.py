"""Slides that have measured different genes: what was not measured is never shown, never a target, never in a mean."""

import numpy as np
import pytest
import torch

from benchmark.core import registry
from benchmark.data.gene_selection import moments, ranked_by_variance, top_variance
from benchmark.data.normalisation import lognorm
from benchmark.data.prepare import write_corpus
from benchmark.model.masked import MaskedSpots
from benchmark.model.trunk import PRESETS
from benchmark.training.learner import Learner
from benchmark.training.loop import tensors
from benchmark.units.expression import field
from benchmark.units.patch import PatchUnit
from benchmark.units.spot import SpotUnit
from tests.helpers.hand_made import N_GENES, slide_at

CELLS = np.argwhere(np.ones((6, 6)))
FEW = ["gene1", "gene4", "gene7", "gene10"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A slide with all twelve genes, and one that measured four of them and four of its own."""
    whole, part = slide_at(CELLS, 0, "whole"), slide_at(CELLS, 1, "part")
    part = part[:, [1, 4, 7, 10, 0, 2, 3, 5]].copy()
    part.var_names = [*FEW, "own0", "own1", "own2", "own3"]
    return write_corpus([whole, part], tmp_path_factory.mktemp("panels"), {"name": "panels"})


def slide_of(corpus, spots):
    return (np.asarray(spots) >= len(CELLS)).astype(int)  # "part" comes before "whole"


@pytest.mark.parametrize("rule", sorted(registry.plugins("channels")))
def test_channels_are_measured_genes_and_a_small_panel_is_padded(corpus, rule):
    sampler = PatchUnit(n_channels=10, rule=registry.make("channels", rule, {})).fit(corpus)
    batch = sampler.draw(corpus, 20, np.random.default_rng(0))
    for genes, shown, spot, values in zip(batch.genes, batch.measured, batch.spot, batch.values, strict=True):
        (name,) = {corpus.names[k] for k in slide_of(corpus, spot[spot >= 0])}
        assert corpus.measured(name)[genes[shown]].all()
        assert shown.sum() == min(10, corpus.measured(name).sum())
        assert len(set(genes[shown])) == shown.sum()
        assert not values[:, ~shown[0]].any()


def test_a_gene_that_was_not_measured_is_in_no_mean(corpus):
    mean, variance = moments(corpus)
    part, whole = (lognorm(slide.X).toarray().astype(float) for slide in corpus)
    both = np.concatenate([whole, part])
    for gene, name in enumerate(corpus.genes):
        values = both[:, gene] if name in FEW else whole[:, gene] if name.startswith("gene") else part[:, gene]
        assert mean[gene] == pytest.approx(values.mean()) and variance[gene] == pytest.approx(values.var(), abs=1e-5)
    assert set(corpus.genes[top_variance(corpus, 16)]) == set(FEW)
    assert len(ranked_by_variance(corpus)) == 16


def test_what_was_not_measured_is_no_input_and_no_target(corpus):
    """Nonsense in the places of genes that were not measured changes neither the loss nor the embedding."""
    sampler = PatchUnit(n_channels=10).fit(corpus)
    batch = tensors(sampler.draw(corpus, 4, np.random.default_rng(0)))
    torch.manual_seed(0)
    model = MaskedSpots(torch.rand(len(corpus.genes)), PRESETS["nano"]).eval()
    hidden = model.draw_hidden(batch, torch.Generator().manual_seed(0))
    assert not hidden[~batch["measured"].expand_as(hidden)].any() and hidden.any()
    other = batch | {"genes": torch.where(batch["measured"], batch["genes"], 5)}
    assert (other["genes"] != batch["genes"]).any()
    with torch.no_grad():
        assert torch.equal(model(batch, hidden), model(other, hidden))
        assert torch.equal(model.embed(batch), model.embed(other))


def test_a_spot_shows_its_own_genes_and_every_unit_embeds_both_slides(corpus):
    batch = SpotUnit(n_tokens=12).draw(corpus, 60, np.random.default_rng(0))
    for spot, genes, valid in zip(batch.spot[:, 0], batch.genes[:, :, 0], batch.valid, strict=True):
        slide = corpus[corpus.names[int(slide_of(corpus, spot))]]
        assert sorted(genes[valid]) == list(np.flatnonzero(slide.X[spot % len(CELLS)].toarray()[0]))
    for unit in (SpotUnit(12), PatchUnit(4, 10)):
        learner = Learner(unit, "nano")
        learner.fit(corpus.for_methods(corpus.names, panels=True), _nothing(), 0)
        for slide in corpus:
            assert np.isfinite(learner.embed(slide)).all()


def test_the_library_size_counts_all_genes_of_the_slide(corpus):
    slide = corpus["part"]
    total = np.asarray(slide.X.sum(axis=1)).ravel()
    np.testing.assert_allclose(field(slide).scale, 1e4 / np.maximum(total, 1), rtol=1e-6)
    assert slide.n_vars == N_GENES + 4


def _nothing():
    from benchmark.training.budget import Budget

    return Budget("flops", 0.0, "fp32")

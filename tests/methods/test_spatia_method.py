"""SPATIA as a method: what its outputs read, what they never read, and options that are refused."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from benchmark.core.config import read_config
from benchmark.core.contracts import offer
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import make
from benchmark.data.normalisation import hide
from benchmark.data.prepare import write_corpus
from benchmark.training.budget import Budget
from methods.spatia import inference, presets
from methods.spatia.method import Spatia
from methods.spatia.presets import BASES
from tests.helpers.paths import CONFIG
from tests.helpers.spatia import ARMS, MICRO, simulated

by_arm = pytest.mark.parametrize("arm", ARMS)


@pytest.fixture(scope="module", autouse=True)
def micro():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(presets.PRESETS, "micro", MICRO)
        yield


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    data = simulated()
    return write_corpus(data.slides(), tmp_path_factory.mktemp("spatia"), data.record())


def untrained(corpus, seed=0, **options):
    """An untrained method with open levels."""
    method = Spatia(preset="micro", **options)
    method.fit(corpus, Budget("flops", 0), seed)
    for alpha in method.model.alpha.values():
        alpha.data.fill_(0.5)
    return method


def with_counts(slide, row, counts):
    slide, dense = slide.copy(), slide.X.toarray()
    dense[row] = counts
    slide.X = sp.csr_matrix(dense)
    return slide


@by_arm
def test_embeddings_repeat_to_the_bit(corpus, arm):
    slide = corpus[corpus.names[0]]
    embedding = untrained(corpus, **ARMS[arm]).embed(slide)
    n_levels = 1 + len(untrained(corpus, **ARMS[arm]).model.alpha)
    assert embedding.shape == (slide.n_obs, 24 if arm == "A2 image" else 16 * n_levels)
    assert np.isfinite(embedding).all() and embedding.std(axis=0).all()
    assert np.array_equal(untrained(corpus, **ARMS[arm]).embed(slide), embedding)
    assert not np.array_equal(untrained(corpus, seed=1, **ARMS[arm]).embed(slide), embedding)


def test_training_with_a_seed_repeats_to_the_bit_and_spends_its_budget(corpus):
    embeddings = []
    for _ in range(2):
        method = Spatia(preset="micro")
        spent = method.fit(corpus, Budget("spots", 16 * 30), 0)
        assert spent.steps == 30 and spent.spots == 16 * 30 and spent.flops > 0
        embeddings.append(method.embed(corpus[corpus.names[0]]))
    assert np.array_equal(*embeddings)
    assert all(method.model.alpha[level] != 0 for level in ("niche", "tissue"))


def test_embeddings_do_not_depend_on_how_spots_are_batched(corpus, monkeypatch):
    slide, method = corpus[corpus.names[0]], untrained(corpus)
    together = method.embed(slide)
    monkeypatch.setattr(inference, "AT_ONCE", 7)
    np.testing.assert_allclose(method.embed(slide), together, atol=2e-5)


def test_each_level_reads_its_surroundings_and_no_further(corpus):
    slide = corpus[corpus.names[0]]
    far = np.linalg.norm(slide.obsm["position"] - slide.obsm["position"][0], axis=1)
    other = with_counts(slide, 0, 30)
    for levels, reach in (("gene", 0), ("cell", 0), ("cell-niche", 3), ("cell-niche_image", 3)):
        method = untrained(corpus, levels=levels)
        changed = ~np.isclose(method.embed(slide), method.embed(other), atol=1e-6).all(axis=1)
        assert changed[0] and far[changed].max() <= reach
        assert (changed.sum() > 1) == (reach > 0)
    method = untrained(corpus, levels="cell-tissue")
    assert not np.isclose(method.embed(slide), method.embed(with_counts(slide, slice(None), 30))).all(axis=1).any()


def test_image_features_read_no_expression(corpus):
    slide, method = corpus[corpus.names[0]], untrained(corpus)
    features = method.embed_image(slide)
    assert features.shape == (slide.n_obs, 24)
    assert np.array_equal(method.embed_image(with_counts(slide, slice(None), 1)), features)
    assert np.array_equal(method.embed_image(slide), features)


def test_imputed_genes_are_read_from_the_others(corpus):
    slide, hidden = corpus[corpus.names[0]].copy(), np.array([3, 17, 30])
    slide.X = hide(slide.X, hidden)
    method = untrained(corpus)
    method.model.head.query.weight.data.mul_(20)  # untrained, the head gives the mean of every gene
    imputed = method.impute(slide, hidden)
    assert imputed.shape == (slide.n_obs, 3) and imputed.std(axis=0).all()
    again = method.impute(slide, hidden[::-1])
    np.testing.assert_allclose(again[:, ::-1], imputed, atol=1e-6)
    mean = method.model.genes.gene_mean.numpy()
    method.model.head.query.weight.data.zero_()
    method.model.head.query.bias.data.zero_()
    np.testing.assert_allclose(method.impute(slide, hidden), np.broadcast_to(mean[hidden], imputed.shape), atol=1e-6)


def test_a_method_lacks_what_its_levels_cannot_give():
    lacking = {
        base: {name for name in ("embed_image", "impute") if offer(Spatia(levels=base), name) is None} for base in BASES
    }
    assert lacking == {"gene": {"embed_image"}, "image": {"impute"}, "cell": set()}


def test_controls_change_what_they_name(corpus):
    slide = corpus[corpus.names[0]]
    for levels, control in (("cell", "shuffle_images"), ("cell-niche", "shuffle_neighbours")):
        plain, shuffled = (untrained(corpus, levels=levels, **{control: on}).embed(slide) for on in (False, True))
        assert not np.isclose(plain, shuffled).all(axis=1).any()
    gene = [untrained(corpus, levels="gene", shuffle_neighbours=on).embed(slide) for on in (False, True)]
    assert np.array_equal(*gene)


def test_a_slide_without_an_image_is_an_error_or_declared(corpus, tmp_path):
    slides = [slide.copy() for slide in corpus]
    del slides[0].uns["image"], slides[0].obsm["pixel"]
    mixed = write_corpus(slides, tmp_path, {})
    with pytest.raises(UnitBenchError, match=f"image of slide {mixed.names[0]}: there is none; .*absent_image"):
        Spatia(preset="micro").check(mixed)
    method = Spatia(preset="micro", absent_image="declared")
    method.fit(mixed, Budget("spots", 16 * 26), 0)
    embedding = method.embed(mixed[mixed.names[0]])
    assert np.isfinite(embedding).all()
    assert method.model.image.absent.grad is not None or method.model.image.absent.abs().max() > 0
    with pytest.raises(UnitBenchError, match="there is none"):
        method.embed_image(mixed[mixed.names[0]])


def test_pretrained_image_weights_are_where_training_starts(corpus, tmp_path):
    from safetensors.torch import save_file

    first = untrained(corpus, seed=5, levels="image")
    save_file(first.model.image.vit.state_dict(), tmp_path / "vit.safetensors")
    second = untrained(corpus, seed=6, weights=str(tmp_path / "vit.safetensors"))
    slide = corpus[corpus.names[0]]
    assert np.array_equal(first.embed_image(slide), second.embed_image(slide))
    with pytest.raises(UnitBenchError, match=r"elsewhere\.safetensors: no such file"):
        Spatia(preset="micro", weights="elsewhere.safetensors").check(corpus)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "T9"}, "preset 'T9': unknown; did you mean 'T"),
        ({"levels": "cells"}, "'cells': unknown; did you mean 'cell'"),
        ({"levels": "cell-tisue"}, "'tisue': unknown; did you mean 'tissue'"),
        ({"levels": "image-niche"}, "no expression to learn a context from"),
        ({"levels": "gene-niche_image"}, "the level gene reads no images"),
        (
            {"direction": "up"},
            "method 'spatia': option direction: unknown 'up'; known: both, gene_to_image, image_to_gene",
        ),
        ({"pooling": "atention"}, r"method 'spatia': option pooling: unknown 'atention'; did you mean 'attention'\?"),
        ({"joined": "summ"}, r"method 'spatia': option joined: unknown 'summ'; did you mean 'sum'\?"),
        ({"absent_image": "declare"}, r"option absent_image: unknown 'declare'; did you mean 'declared'\?"),
        ({"k": 0}, "method 'spatia': option k: Input should be greater than 0, not 0"),
        ({"mixed_units": True}, "units beside levels"),
    ],
)
def test_options_that_cannot_be_are_one_line(options, message):
    with pytest.raises(UnitBenchError, match=message):
        make("methods", "spatia", options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pixels": 30}, "pixels 30: not a multiple of 4"),
        ({"width": 15}, "width 15: not a multiple of 2"),
        ({"levels": "image", "mae": False}, "no objective is left"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_before_anything_runs(corpus, options, message):
    with pytest.raises(UnitBenchError, match=message):
        Spatia(preset="micro", **options).check(corpus)


def test_the_widened_gene_arm_of_the_config_has_the_full_arms_size():
    config = read_config(CONFIG / "spatia/simulated.yaml")
    n_genes = config.dataset.options["n_genes"]
    sizes = {}
    for label in ("A8_full", "C3_gene_wide"):
        options = config.method(label).options
        unit = make("methods", "spatia", options).sampler
        model = inference.Spatia(torch.zeros(n_genes), unit.size, unit.design)
        sizes[label] = sum(weight.numel() for weight in model.parameters())
    assert abs(sizes["C3_gene_wide"] / sizes["A8_full"] - 1) < 0.05

"""The generator, its floors and the task: what they see, that they repeat, and that real images reach the ceiling."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.core.contracts import Measured, NotApplicable
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import make
from benchmark.data.prepare import write_corpus
from benchmark.data.tiles import View, cut
from benchmark.datasets.simulated import Simulated
from benchmark.metrics.morphology import FEATURES
from benchmark.model.trunk import PRESETS, Preset
from benchmark.tasks.generation import Generation
from benchmark.training.budget import Budget
from methods.generation.atlas import make_atlas, with_images
from methods.generation.floors import ControlImage, StateImage
from methods.generation.generator import Generator
from methods.generation.unit import pair_up

VIEW = View(100, 16)
SMALL = {"pixels": 16, "n_genes": 12, "n_states": 3, "passes": 4, "samples_per_step": 8, "preset": "micro"}
FLOOR = {"pixels": 16, "n_genes": 12, "n_states": 3}
LADDER = {
    "diffusion": {"objective": "diffusion"},
    "merging": {"objective": "diffusion", "merging": 0.5, "patch": 2},
    "unweighted": {"weighted": False},
    "weighted": {},
    "contrast": {"contrast": 0.1},
    "morphology": {"contrast": 0.1, "morphology": 0.1},
    "removed": {"condition": "removed"},
    "random pairs": {"pairs": "random", "weighted": False},
}
ladder = pytest.mark.parametrize("name", LADDER)


@pytest.fixture(autouse=True)
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", Preset(d=16, layers=1, heads=2, learning_rate=1e-3))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    data = Simulated(n_donors=3, slides_per_donor=1, shape=(12, 12), n_genes=40, depth=3000, n_cell_types=3)
    return write_corpus(data.slides(), tmp_path_factory.mktemp("images"), data.record())


@pytest.fixture(scope="module")
def train(corpus):
    return corpus.subset(corpus.names[:2])


@pytest.fixture(scope="module")
def test_slide(corpus):
    return corpus[corpus.names[2]]


def fitted(train, amount=240, seed=0, **options):
    method = Generator(**SMALL | options)
    return method, method.fit(train, Budget("spots", amount, "fp32"), seed)


# The method


@ladder
def test_every_rung_spends_its_budget_and_makes_an_image_of_each_spot(train, test_slide, name):
    method, meter = fitted(train, **LADDER[name])
    assert meter.steps == 30 and meter.spots == 240 and meter.flops > 0
    spots = np.array([3, 1, 40])
    made = method.generate(test_slide, spots, seed=0)
    assert made.shape == (3, 16, 16, 3) and made.dtype == np.uint8
    np.testing.assert_array_equal(made, method.generate(test_slide, spots, seed=0))


@pytest.mark.parametrize("objective", ["diffusion", "flow"])
def test_an_image_depends_on_the_expression_alone_and_on_nothing_where_that_is_removed(train, test_slide, objective):
    spots = np.arange(10)
    other = test_slide.copy()
    other.X = test_slide.X[::-1]
    for condition, follows in (("kept", True), ("removed", False)):
        method, _ = fitted(train, amount=0, objective=objective, condition=condition)
        made = [method.generate(slide, spots, seed=0) for slide in (test_slide, other)]
        assert (made[0] != made[1]).any() == follows


def test_training_is_the_same_for_the_same_seed_and_another_for_another(train):
    weights = [fitted(train, seed=seed)[0].model.state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_weights_are_saved_whole(train, tmp_path):
    from safetensors.torch import load_file

    method, meter = fitted(train, amount=0)
    assert meter is None
    method.save(tmp_path / "weights.safetensors")
    assert set(load_file(tmp_path / "weights.safetensors")) == set(method.model.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "flwo"}, r"method 'generator': option objective: unknown 'flwo'; did you mean 'flow'\?"),
        ({"preset": "nanno"}, r"preset 'nanno': unknown; did you mean 'nano'\?"),
        ({"pixels": 20}, "give a multiple of 8 pixels"),
        ({"merging": 0.8}, "method 'generator': option merging: Input should be less than or equal to 0.75, not 0.8"),
        ({"contrast": -1}, "option contrast: Input should be greater than or equal to 0"),
        ({"n_states": 1}, "option n_states: Input should be greater than or equal to 2"),
        ({"objective": "diffusion", "contrast": 0.1}, "a diffusion has no pairs"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(options, message):
    with pytest.raises(UnitBenchError, match=message) as error:
        make("methods", "generator", SMALL | options)
    assert "\n" not in str(error.value)


def test_a_slide_without_an_image_is_refused_or_declared(tmp_path):
    slides = list(Simulated(n_donors=2, slides_per_donor=1, shape=(12, 12), n_genes=20).slides())
    del slides[0].uns["image"]
    corpus = write_corpus(slides, tmp_path, {})
    with pytest.raises(UnitBenchError, match="image of slide donor0_0"):
        Generator(**SMALL).check(corpus)
    Generator(**SMALL, absent_image="declared").check(corpus)
    assert with_images(corpus, "declared").names == ("donor1_0",)
    with pytest.raises(UnitBenchError, match="dataset with images"):
        with_images(corpus.subset(["donor0_0"]), "declared")


# What training draws on


def test_pairs_lead_from_controls_to_spots_of_every_state_and_never_to_themselves(train):
    atlas = make_atlas(train, VIEW, 12, 3, seed=0)
    unit = pair_up(atlas, "transport", True, seed=0, samples_per_step=8)
    assert (atlas.state[unit.control] == 0).all()
    assert set(atlas.state[unit.target]) == {0, 1, 2}
    assert (unit.control != unit.target).all()
    assert unit.weight.mean() == pytest.approx(1)
    samples = unit.draw(train, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(samples.values, atlas.values[samples.spot])
    np.testing.assert_array_equal(samples.image, atlas.take(samples.spot))
    state_of = {row.tobytes(): state for row, state in zip(atlas.values, atlas.state, strict=True)}
    wrong = np.array([state_of[row.tobytes()] for row in samples.wrong])
    assert (wrong != atlas.state[samples.spot]).all()


def test_random_pairs_cost_more_in_expression_than_those_by_transport(train):
    atlas = make_atlas(train, VIEW, 12, 3, seed=0)
    cost = {}
    for kind in ("transport", "random"):
        unit = pair_up(atlas, kind, False, seed=0, samples_per_step=8)
        cost[kind] = np.linalg.norm(atlas.coordinates[unit.control] - atlas.coordinates[unit.target], axis=1).mean()
    assert cost["transport"] < 0.9 * cost["random"]


def test_images_of_the_atlas_are_the_tiles_of_its_spots(train):
    atlas = make_atlas(train, VIEW, 12, 3, seed=0)
    both = np.concatenate([cut(slide, VIEW) for slide in train])
    spots = np.random.default_rng(0).permutation(len(both))[:30]
    np.testing.assert_array_equal(atlas.take(spots), both[spots])
    counts = np.bincount(atlas.state)
    assert counts[0] == counts.max()


# The task


class Oracle:
    """Returns the real image of each spot, or of another spot."""

    unit, view = "none", VIEW

    def __init__(self, slide, shuffled=False):
        self.tiles = cut(slide, VIEW)
        self.shuffled = shuffled

    def generate(self, slide, spots, seed):
        assert "image" not in slide.uns and "pixel" not in slide.obsm and not len(slide.obs.columns)
        return self.tiles[np.random.default_rng(seed).permutation(spots) if self.shuffled else spots]


def rows(task, method, train, slide):
    """The measured values by setting and metric, and all rows."""
    all_rows = list(task.score(slide, task.predict(method, train, slide)))
    return {(row.setting, row.metric): row.value for row in all_rows if isinstance(row, Measured)}, all_rows


def test_real_images_reach_the_ceiling_and_shuffled_ones_show_that_the_condition_is_ignored(train, test_slide):
    task = Generation(dimensions=4)
    true, all_rows = rows(task, Oracle(test_slide), train, test_slide)
    assert not [row for row in all_rows if isinstance(row, NotApplicable)]
    for metric in ("mmd2", "frechet", "wasserstein", "ks"):
        assert true["generated", metric] == true["ceiling", metric]
        assert all(("generated " + name, metric) in true for name in FEATURES) == (metric in ("wasserstein", "ks"))
    assert true["condition", "condition_gain"] == 1 and true["condition", "condition_ignored"] == 0
    assert true["condition", "morphology_pearson"] > 0.99
    shuffled, _ = rows(task, Oracle(test_slide, shuffled=True), train, test_slide)
    assert abs(shuffled["condition", "condition_gain"]) < 0.2
    assert shuffled["generated", "mmd2"] < true["generated", "mmd2"] + 1


def test_a_real_image_of_the_state_beats_the_mean_of_all_its_images(train, test_slide):
    task, distance = Generation(dimensions=4), {}
    for draw in ("random", "mean"):
        method = StateImage(draw=draw, **FLOOR)
        method.fit(train, None, 0)
        distance[draw] = rows(task, method, train, test_slide)[0]["generated", "mmd2"]
    assert distance["random"] < distance["mean"]


def test_the_control_is_a_real_training_image(train, test_slide):
    method = ControlImage(**FLOOR)
    method.fit(train, None, 0)
    real = {tile.tobytes() for tile in np.concatenate([cut(slide, VIEW) for slide in train])}
    assert all(tile.tobytes() in real for tile in method.generate(test_slide, np.arange(20), 0))


def test_what_pairs_are_worth_is_reported(train, test_slide):
    values, _ = rows(Generation(dimensions=4), fitted(train, amount=0)[0], train, test_slide)
    assert 0 < values["method", "effective_sample_size"] <= 1
    assert 0 <= values["method", "many_to_one"] <= 1


def test_too_few_images_for_frechet_and_no_image_at_all_are_reasons(train, test_slide):
    _, all_rows = rows(Generation(dimensions=16), Oracle(test_slide), train, test_slide)
    assert [row.setting for row in all_rows if isinstance(row, NotApplicable)] == ["generated", "ceiling"]
    bare = test_slide.copy()
    del bare.uns["image"]
    task = Generation()
    (reason,) = task.score(bare, task.predict(SimpleNamespace(view=VIEW), train, bare))
    assert reason.reason == "the slide has no image"


def test_images_of_the_wrong_size_are_refused(train, test_slide):
    wrong = SimpleNamespace(view=VIEW, generate=lambda slide, spots, seed: np.zeros((len(spots), 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="expected uint8"):
        Generation().predict(wrong, train, test_slide)


# What is learned


@pytest.mark.slow
def test_a_trained_flow_uses_the_expression_and_one_without_it_cannot(tmp_path):
    """Three cell types that look different, with enough counts to tell them apart."""
    options = {"n_genes": 40, "depth": 3000, "n_cell_types": 3, "donor_effect": 0.1}
    data = Simulated(n_donors=3, slides_per_donor=1, shape=(16, 16), **options)
    corpus = write_corpus(data.slides(), tmp_path, data.record())
    train, slide, values = corpus.subset(corpus.names[:2]), corpus[corpus.names[2]], {}
    for condition in ("kept", "removed"):
        method = Generator(pixels=16, n_genes=24, n_states=3, passes=10, condition=condition)
        method.fit(train, Budget("spots", 150 * 32, "fp32"), seed=0)
        values[condition], _ = rows(Generation(dimensions=8), method, train, slide)
    assert values["kept"]["condition", "condition_ignored"] == 0
    assert values["removed"]["condition", "condition_gain"] < values["kept"]["condition", "condition_gain_low"]

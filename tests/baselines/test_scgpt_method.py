"""scGPT and scGPT-spatial as methods: what they spend, what a step predicts, and what the two have in common."""

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from baselines.scgpt.method import Scgpt, ScgptSpatial
from baselines.scgpt.module import Generative, Objective
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import make as make_plugin
from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.model.trunk import PRESETS, Preset
from benchmark.training import loop as pretrain_module
from benchmark.training.budget import Budget
from benchmark.training.flops import count_flops
from benchmark.training.loop import tensors

SIZE = {"n_tokens": 16, "batch_size": 8, "preset": "micro"}
OFF = {"window": 0, "neighbour_weight": 0, "experts": 0, "gene_mean": False}
METHODS = {
    "scgpt": lambda: Scgpt(**SIZE),
    "masked": lambda: Scgpt(**SIZE, objective="masked", ecs=True),
    "gene means": lambda: Scgpt(**SIZE, gene_mean=True),
    "spatial": lambda: ScgptSpatial(**SIZE, window=8),
    "shuffled": lambda: ScgptSpatial(**SIZE, window=8, neighbours=6, shuffle_coordinates=True),
}
AMOUNT = 1.6e8  # some tens of steps
FLOPS, NONE = Budget("flops", AMOUNT), Budget("flops", 0)
by_name = pytest.mark.parametrize("name", METHODS)


@pytest.fixture(autouse=True)
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", Preset(d=16, layers=1, heads=2, learning_rate=3e-3))
    monkeypatch.setattr(pretrain_module, "CHECK_EVERY", 4)


def fitted(method, corpus, budget=FLOPS, seed=0):
    """The method, and the meter of a budget like this one: each serves one fit."""
    return method, method.fit(corpus, replace(budget), seed)


def same_weights(a, b) -> bool:
    a, b = a.model.state_dict(), b.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def step_of(method, corpus, seed=0):
    """A batch, and what the step hides."""
    unit = method.sampler
    batch = tensors(unit.draw(corpus, unit.samples_per_step, np.random.default_rng(seed)))
    hidden = method.model.draw_hidden(batch, torch.Generator().manual_seed(seed))
    return batch, hidden if isinstance(hidden, tuple) else (hidden,)


# Embeddings


@by_name
def test_embeddings_repeat_to_the_bit_and_are_of_length_one(tissue, name):
    slide = tissue[tissue.names[0]]
    method, other = (fitted(METHODS[name](), tissue, NONE, seed)[0] for seed in (0, 1))
    embedding = method.embed(slide)
    assert embedding.shape == (slide.n_obs, 16)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)
    assert np.array_equal(method.embed(slide), embedding)
    assert np.array_equal(fitted(METHODS[name](), tissue, NONE)[0].embed(slide), embedding)
    assert not np.array_equal(other.embed(slide), embedding)


def test_embeddings_do_not_depend_on_how_spots_are_batched(tissue, monkeypatch):
    slide = tissue[tissue.names[0]]
    method, _ = fitted(METHODS["scgpt"](), tissue, NONE)
    together = method.embed(slide)
    monkeypatch.setattr("baselines.scgpt.method.INFERENCE_TOKENS", 1)
    np.testing.assert_allclose(method.embed(slide), together, atol=1e-5)


def test_a_spot_without_counts_has_an_embedding(tissue):
    slide = tissue[tissue.names[0]].copy()
    slide.X = sp.csr_matrix(slide.X.toarray() * (np.arange(slide.n_obs) > 0)[:, None])
    embedding = fitted(METHODS["spatial"](), tissue, NONE)[0].embed(slide)
    assert np.isfinite(embedding).all()


# Spending


@pytest.fixture
def steps(monkeypatch):
    """The steps that were taken: phase, module, batch, and what was hidden."""
    taken = []
    call = torch.nn.Module.__call__

    def watched(module, *inputs):
        if next(module.parameters()).device.type != "meta":
            taken.append((getattr(module, "second", None), module, *inputs))
        return call(module, *inputs)

    monkeypatch.setattr(Objective, "__call__", watched)
    return taken


@pytest.mark.slow
@by_name
def test_spent_is_within_two_percent_of_the_target_by_another_count(tissue, steps, name):
    _, meter = fitted(METHODS[name](), tissue, Budget("flops", AMOUNT, "fp32"))
    taken = list(steps)
    kinds = Counter((second, *(x.shape for x in hidden)) for second, _, _, *hidden in taken)
    examples = {(step[0], *(x.shape for x in step[3:])): step for step in taken}
    recounted = 0
    for kind, (second, module, batch, *hidden) in examples.items():
        module.second = second
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            module(batch, *hidden).backward()
        recounted += kinds[kind] * counter.get_total_flops()
    assert recounted == meter.flops == pytest.approx(AMOUNT, rel=0.02)
    assert meter.steps == len(taken) and meter.spots == 8 * len(taken)


def test_the_second_pass_begins_after_the_warm_up_and_is_counted(tissue, steps):
    method, _ = fitted(METHODS["scgpt"](), tissue)
    phases = [second for second, *_ in steps]
    first = phases.index(True)
    assert first > 0 and all(phases[first:]) and not any(phases[:first])
    batch, hidden = step_of(method, tissue)
    model = method.model
    costs = []
    for second in (False, True):
        model.second = second
        costs.append(count_flops(model, batch, *hidden))
    assert 1.7 < costs[1] / costs[0] < 2  # all but the prediction from the cell
    assert first * costs[0] == pytest.approx(0.1 * AMOUNT, rel=0.5)


def test_a_larger_share_of_queries_is_counted_as_such(tissue):
    method, _ = fitted(METHODS["scgpt"](), tissue, NONE)
    shapes = {tuple(x.shape for x in step_of(method, tissue, seed)[1]) for seed in range(12)}
    assert len(shapes) == 3  # one for each ratio


@pytest.mark.slow
def test_a_run_that_is_killed_ends_as_an_unbroken_one(tissue, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain_module, "CHECKPOINT_SECONDS", -1)

    def killed_in_the_middle(fraction, text):
        if fraction > 0.5:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        fitted(METHODS["spatial"](), tissue, Budget("flops", AMOUNT, "auto", checkpoint, killed_in_the_middle))
    resumed, meter = fitted(METHODS["spatial"](), tissue, Budget("flops", AMOUNT, checkpoint=checkpoint))
    unbroken, expected = fitted(METHODS["spatial"](), tissue)
    assert same_weights(resumed, unbroken) and meter.flops == expected.flops and meter.steps == expected.steps


@pytest.mark.slow
@by_name
def test_nothing_of_the_test_slides_enters_training(tissue, name, tmp_path):
    *train, test = tissue
    other = test.copy()
    other.X = sp.csr_matrix(test.X.toarray()[::-1, ::-1] * 3)
    twin = write_corpus([*train, other], tmp_path, {"name": "another test slide"})
    first, second = (fitted(METHODS[name](), corpus.subset(tissue.names[:-1]))[0] for corpus in (tissue, twin))
    assert same_weights(first, second)
    assert np.array_equal(first.embed(train[0]), second.embed(train[0]))


# What a step predicts


@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 99))
def test_known_and_queries_are_all_of_a_spots_genes_at_one_of_three_ratios(n, t, seed):
    length = np.random.default_rng(seed).integers(0, t + 1, size=n)
    valid = torch.from_numpy(np.arange(t) < length[:, None])
    known, query = Generative.draw_hidden(None, {"valid": valid}, torch.Generator().manual_seed(seed))
    for index in (known, query):
        assert ((index >= 0)[:, :-1] >= (index >= 0)[:, 1:]).all()  # packed to the left
    both = [sorted(index[index >= 0].tolist()) for index in torch.cat([known, query], dim=1)]
    assert both == [list(range(n_genes)) for n_genes in length]
    n_queries = (query >= 0).sum(dim=1).tolist()
    assert any(n_queries == [int(n_genes * ratio) for n_genes in length] for ratio in (0.25, 0.5, 0.75))


def test_no_hidden_bin_reaches_a_prediction(tissue):
    for name, which in (("scgpt", 1), ("masked", 0)):
        method, _ = fitted(METHODS[name](), tissue, NONE)
        batch, hidden = step_of(method, tissue)
        if name == "scgpt":
            index = hidden[which]
            rows, columns = np.nonzero((index >= 0).numpy())
            is_hidden = torch.zeros(batch["valid"].shape, dtype=torch.bool)
            is_hidden[rows, index[rows, columns]] = True
        else:
            is_hidden = hidden[which]
        cells = []
        for values in (batch["values"], torch.where(is_hidden[..., None], 7.0, batch["values"])):
            cells.append(method.model.losses(batch | {"values": values}, *hidden)[1])
        assert is_hidden.any() and torch.equal(*cells)
        shown = batch["values"].masked_fill(~is_hidden[..., None], 7.0)
        assert not torch.equal(cells[0], method.model.losses(batch | {"values": shown}, *hidden)[1])


def test_the_neighbours_predict_a_spot_without_its_own_counts(tissue):
    method, _ = fitted(METHODS["spatial"](), tissue, NONE)
    batch, hidden = step_of(method, tissue)
    model = method.model.double()
    batch = {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}
    of_neighbours = []
    without = model.losses(batch, *hidden)[0]
    for weight in (1.0, 3.0):
        model.neighbour_weight = weight
        of_neighbours.append((model(batch, *hidden) - without) / weight)
    torch.testing.assert_close(*of_neighbours)
    assert of_neighbours[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize("make", [Scgpt, partial(ScgptSpatial, gene_mean=False)], ids=["scgpt", "spatial"])
def test_a_trained_model_predicts_bins_better_than_their_mean_and_an_untrained_one_does_not(tmp_path, make):
    data = Simulated(n_donors=2, shape=(12, 12), n_genes=40, depth=2000, image=False)
    corpus = write_corpus(data.slides(), tmp_path, data.record())
    losses = {}
    for amount in (0, 3e9):
        method, _ = fitted(make(n_tokens=32, preset="micro"), corpus, Budget("flops", amount))
        batch, hidden = step_of(method, corpus, 7)
        method.model.second = True
        losses[amount] = float(method.model.losses(batch, *hidden)[0].detach())
    of_mean = 3 * float(batch["values"][batch["valid"]].var())  # from tokens, from the cell, in the second pass
    assert losses[3e9] < 0.8 * of_mean < of_mean < losses[0]


# The two methods


def test_with_every_part_off_scgpt_spatial_is_scgpt(tissue):
    plain, spatial = fitted(Scgpt(**SIZE), tissue), fitted(ScgptSpatial(**SIZE, **OFF), tissue)
    assert same_weights(plain[0], spatial[0]) and plain[1].flops == spatial[1].flops
    batch, hidden = step_of(plain[0], tissue)
    losses = [method.model.eval()(batch, *hidden) for method, _ in (plain, spatial)]
    assert torch.equal(*losses)


@pytest.mark.parametrize(
    "on", [{"window": 16}, {"experts": 4}, {"gene_mean": True}, {"window": 16, "neighbour_weight": 1}], ids=str
)
def test_each_part_changes_the_model_alone(tissue, on):
    plain, other = fitted(Scgpt(**SIZE), tissue)[0], fitted(ScgptSpatial(**SIZE, **OFF | on), tissue)[0]
    assert not same_weights(plain, other)
    more = other.model.state_dict().keys() - plain.model.state_dict().keys()
    assert any("experts" in name for name in more) == ("experts" in on)
    assert any("impute" in name for name in more) == ("neighbour_weight" in on)


@pytest.mark.parametrize("kind, k", [("square", 4), ("hex", 6)])
def test_a_spot_is_predicted_from_the_spots_next_to_it(tmp_path, kind, k):
    data = Simulated(n_donors=1, shape=(8, 8), n_genes=30, kind=kind, image=False)
    corpus = write_corpus(data.slides(), tmp_path, data.record())
    for chosen, expected in ((None, k), (3, 3)):
        method, _ = fitted(ScgptSpatial(**SIZE, neighbours=chosen), corpus, NONE)
        assert method.model.neighbours == expected


@pytest.mark.parametrize("options", [{"window": 0}, {"window": 6}, {"window": 8, "neighbours": 8}], ids=str)
def test_neighbours_need_a_window_that_holds_them(options):
    with pytest.raises(UnitBenchError, match="set a larger window or neighbour_weight 0") as error:
        ScgptSpatial(**options)
    assert "\n" not in str(error.value)


def test_an_unknown_objective_is_named_with_the_nearest():
    message = r"method 'scgpt': option objective: unknown 'maskd'; did you mean 'masked'\?"
    with pytest.raises(UnitBenchError, match=message):
        make_plugin("methods", "scgpt", {"objective": "maskd"})

"""Released weights of scGPT as a start, and what is saved under the official names."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from baselines.scgpt.checkpoint import save_folder
from baselines.scgpt.method import Scgpt, ScgptSpatial
from baselines.scgpt.model import ScGPT
from baselines.scgpt.module import MaskedValues
from baselines.scgpt.unit import ScGPTUnit
from benchmark.core.errors import UnitBenchError
from benchmark.model.trunk import PRESETS, Preset
from benchmark.training import loop as pretrain_module
from benchmark.training.budget import Budget

SIZE = {"n_tokens": 16, "batch_size": 8, "preset": "micro"}
AMOUNT = 1.6e8  # some tens of steps
FLOPS, NONE = Budget("flops", AMOUNT), Budget("flops", 0)


@pytest.fixture(autouse=True)
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", Preset(d=16, layers=1, heads=2, learning_rate=3e-3))
    monkeypatch.setattr(pretrain_module, "CHECK_EVERY", 4)


def fitted(method, corpus, budget=FLOPS, seed=0):
    return method, method.fit(corpus, replace(budget), seed)


def release(folder, genes, **heads):
    """A folder like a released one, with random weights of width 32 and its genes in an order of their own."""
    torch.manual_seed(5)
    vocab = {name: row for row, name in enumerate([*genes, "<pad>", "<cls>", "<eoc>"])}
    net = ScGPT(len(vocab), vocab["<pad>"], 32, 4, 2, 32, **heads)
    save_folder(net, vocab, {"pad_token": "<pad>"}, folder)
    return net.eval(), vocab


def test_released_weights_embed_unchanged_with_their_own_vocabulary(tissue, tmp_path):
    slide, genes = tissue[tissue.names[0]], list(tissue.genes)
    net, vocab = release(tmp_path, ["another", *genes[:4:-1]])  # it does not know five genes
    method, spent = fitted(Scgpt(n_tokens=64, checkpoint=str(tmp_path)), tissue, NONE)
    assert spent is None and method.reference == "not compute-matched" and not Scgpt().reference
    embedding = method.embed(slide)
    assert embedding.shape == (slide.n_obs, 32)
    # By hand: a CLS token of value -2, then the bins of the known genes.
    (samples,) = ScGPTUnit(64).cover(slide[:, 5:].copy(), 10**6)
    for row in range(5):
        valid = samples.valid[row]
        names = [genes[5:][gene] for gene in samples.genes[row, valid, 0]]
        ids = torch.tensor([[vocab["<cls>"], *(vocab[name] for name in names)]])
        values = torch.tensor([[-2.0, *samples.values[row, valid, 0]]])
        cell = net.encode(ids, values, torch.zeros_like(ids, dtype=torch.bool))[0, 0].detach()
        np.testing.assert_allclose(embedding[row], cell / cell.norm(), atol=1e-5)


def test_released_weights_can_be_trained_further(tissue, tmp_path):
    net, _ = release(tmp_path, list(tissue.genes), experts=4, impute=True)
    method = ScgptSpatial(**SIZE, window=8, checkpoint=str(tmp_path))
    spent = method.fit(tissue, Budget("flops", 2.4e9), 0)
    assert spent.fraction == pytest.approx(1, rel=0.02)
    before, after = net.state_dict(), method.model.net.state_dict()
    assert before.keys() == after.keys() and not torch.equal(
        before["mvc_decoder.W.weight"], after["mvc_decoder.W.weight"]
    )


def test_a_released_model_without_a_part_that_training_needs_is_refused(tissue, tmp_path):
    release(tmp_path, list(tissue.genes), generative=False)
    for method, needed in (
        (Scgpt(checkpoint=str(tmp_path)), "set objective to masked"),
        (ScgptSpatial(objective="masked", checkpoint=str(tmp_path)), "set neighbour_weight to 0"),
    ):
        fitted(method, tissue, NONE)
        with pytest.raises(UnitBenchError, match=needed):
            fitted(method, tissue)


def test_a_vocabulary_of_other_genes_is_refused_before_anything_runs(tissue, tmp_path):
    release(tmp_path, [*tissue.genes[:19], *(f"other{i}" for i in range(40))])
    method = Scgpt(checkpoint=str(tmp_path))
    for refuse in (lambda: method.check(tissue), lambda: method.fit(tissue, NONE, 0)):
        with pytest.raises(UnitBenchError, match=r"has 19 of the slides' 40 genes, under half; ") as error:
            refuse()
        assert "\n" not in str(error.value)
    release(tmp_path, [*tissue.genes[:20], *(f"other{i}" for i in range(40))])
    method.check(tissue)


def test_saved_weights_have_the_official_names(tissue, tmp_path):
    from safetensors.torch import load_file

    method, _ = fitted(ScgptSpatial(**SIZE, window=8), tissue, NONE)
    method.save(tmp_path / "weights.safetensors")
    assert load_file(tmp_path / "weights.safetensors").keys() == method.model.net.state_dict().keys()


def test_masked_prediction_hides_two_fifths_of_the_values():
    valid = torch.arange(500).expand(40, 500) < 300
    hidden = MaskedValues.draw_hidden({"valid": valid}, torch.Generator().manual_seed(0))
    assert hidden.float().mean() / 0.6 == pytest.approx(0.4, abs=0.02) and not (hidden & ~valid).any()

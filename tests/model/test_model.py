"""The model: what it may see, what it can tell apart, and that only the unit differs between units."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch.nn.functional import scaled_dot_product_attention

from benchmark.model.masked import RATIOS, MaskedGenes, MaskedSpots, mse
from benchmark.model.trunk import ALIGNED, PRESETS, Preset, aligned, attention, sincos
from benchmark.training.learner import module_for
from benchmark.training.loop import tensors
from benchmark.units.patch import PatchUnit
from benchmark.units.spot import SpotUnit

MICRO = Preset(d=16, layers=2, heads=2, learning_rate=1e-3)
UNITS = [SpotUnit(n_tokens=16), PatchUnit(size=4, n_channels=16)]
by_name = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def make(unit, tissue, n=6, seed=0):
    """A small module, a batch of the unit and what is hidden of it."""
    torch.manual_seed(seed)
    module = module_for(unit.name)(torch.rand(len(tissue.genes)), MICRO).eval()
    batch = tensors(unit.draw(tissue, n, np.random.default_rng(seed)))
    return module, batch, module.draw_hidden(batch, torch.Generator().manual_seed(seed))


def encoded(module, batch, hidden=None):
    """Encodings `[b, t, d]`, the spot unit's summary token left out."""
    hidden = torch.zeros_like(batch["values"], dtype=torch.bool) if hidden is None else hidden
    with torch.inference_mode():
        return module.encode(batch, hidden)[:, -batch["valid"].shape[1] :]


def assert_same(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def differ(a, b) -> bool:
    return float((a - b).abs().max()) > 1e-3


# One trunk for all


@pytest.mark.parametrize("n_genes", [300, 11_871])
@pytest.mark.parametrize("preset", PRESETS)
def test_units_have_as_many_parameters_within_five_percent(preset, n_genes):
    with torch.device("meta"):
        modules = [module_for(unit.name)(torch.zeros(n_genes), PRESETS[preset]) for unit in UNITS]
    sizes = [sum(parameter.numel() for parameter in module.parameters()) for module in modules]
    assert max(sizes) / min(sizes) < 1.05


@by_name
def test_every_parameter_learns(tissue, unit):
    module, batch, hidden = make(unit, tissue)
    module.train()(batch, hidden).backward()
    still = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still


# What a token says


@by_name
def test_a_hidden_value_is_not_taken_for_a_zero(tissue, unit):
    module, batch, _ = make(unit, tissue)
    one = torch.zeros_like(batch["values"], dtype=torch.bool)
    one[0, 0] = True
    empty = batch | {"values": batch["values"].masked_fill(one, 0)}
    average = batch | {"values": torch.where(one, module.gene_mean[batch["genes"]], batch["values"])}
    for other in (empty, average):
        assert differ(encoded(module, batch, one)[0, 0], encoded(module, other)[0, 0])


@by_name
def test_hidden_values_are_not_seen(tissue, unit):
    module, batch, hidden = make(unit, tissue)
    noise = torch.rand(batch["values"].shape, generator=torch.Generator().manual_seed(1)) * 9
    altered = batch | {"values": torch.where(hidden, noise, batch["values"])}
    assert torch.equal(encoded(module, batch, hidden), encoded(module, altered, hidden))
    altered = batch | {"values": torch.where(hidden, batch["values"], noise)}
    assert differ(encoded(module, batch, hidden), encoded(module, altered, hidden))


@by_name
def test_padding_changes_nothing(tissue, unit):
    module, batch, hidden = make(unit, tissue)
    valid = batch["valid"].clone()
    valid[:, valid.shape[1] // 2 :] = False
    seen = encoded(module, batch | {"valid": valid}, hidden)[valid]
    noise = torch.randn(batch["values"].shape, generator=torch.Generator().manual_seed(1))
    position = torch.where(valid[..., None], batch["position"], 100.0)
    altered = batch | {"values": torch.where(valid[..., None], batch["values"], noise), "position": position}
    assert_same(encoded(module, altered | {"valid": valid}, hidden)[valid], seen)


@by_name
def test_a_value_is_bound_to_its_gene(tissue, unit):
    module, batch, _ = make(unit, tissue, n=1)
    axis = 1 if unit.name == "spot" else 2
    flipped = batch["values"].flip(axis)
    alone = encoded(module, batch | {"values": flipped})
    together = encoded(module, batch | {"values": flipped, "genes": batch["genes"].flip(axis)})
    original = encoded(module, batch)
    assert differ(alone, original)
    assert_same(together.flip(1) if unit.name == "spot" else together, original)


@by_name
def test_predictions_pass_the_decoder_and_embeddings_do_not(tissue, unit):
    torch.manual_seed(0)
    module = module_for(unit.name)(torch.rand(len(tissue.genes)), replace(MICRO, decoder=1)).eval()
    batch = tensors(unit.draw(tissue, 3, np.random.default_rng(0)))
    hidden = module.draw_hidden(batch, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        loss, embedding = module(batch, hidden), module.embed(batch)
        for parameter in module.decoder.parameters():
            parameter.add_(0.1)
        assert torch.equal(module.embed(batch), embedding)
        assert not torch.equal(module(batch, hidden), loss)


@by_name
def test_the_order_of_tokens_changes_nothing(tissue, unit):
    module, batch, hidden = make(unit, tissue)
    order = torch.randperm(batch["valid"].shape[1], generator=torch.Generator().manual_seed(1))
    moved = {name: value[:, order] if value.shape[1] == len(order) else value for name, value in batch.items()}
    shuffled, straight = encoded(module, moved, hidden[:, order]), encoded(module, batch, hidden)[:, order]
    assert_same(shuffled[moved["valid"]], straight[moved["valid"]])


def test_a_spot_is_encoded_by_where_its_neighbours_are(tissue):
    module, batch, _ = make(UNITS[1], tissue)
    far = batch | {"position": batch["position"] * 2}
    assert differ(encoded(module, batch), encoded(module, far))


@pytest.mark.parametrize("d", [16, 64, 256])
def test_positions_are_encoded_in_the_width_of_the_trunk_and_told_apart(d):
    position = torch.cartesian_prod(torch.arange(-8.0, 8), torch.arange(-8.0, 8))
    code = sincos(position[None], d)[0]
    assert code.shape == (256, d)
    assert float(code.abs().max()) <= 1
    assert len(np.unique(code.numpy().round(3), axis=0)) == 256


# The objective


def test_only_hidden_values_count_in_the_loss():
    predicted, target = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[3.0, 0.0, 0.0]])
    assert mse(predicted, target, torch.tensor([[True, True, False]])) == (4 + 4) / 2
    assert mse(predicted, target, torch.tensor([[False, False, False]])) == 0


@by_name
def test_a_module_of_zeros_predicts_the_mean_of_each_gene(tissue, unit):
    module, batch, hidden = make(unit, tissue)
    for parameter in module.parameters():
        parameter.data.zero_()
    error = (batch["values"] - module.gene_mean[batch["genes"]])[hidden]
    torch.testing.assert_close(module(batch, hidden), error.square().mean())


@by_name
def test_padding_is_never_predicted(tissue, unit):
    _, batch, hidden = make(unit, tissue)
    assert not hidden[~batch["valid"]].any()
    assert hidden.any()


def wide(b: int, t: int, c: int) -> dict[str, torch.Tensor]:
    """A batch of square crops without padding."""
    side = int(t**0.5)
    position = torch.cartesian_prod(torch.arange(float(side)), torch.arange(float(side)))
    return {
        "values": torch.zeros(b, t, c),
        "position": (position - position.mean(0)).expand(b, -1, -1),
        "valid": torch.ones(b, t, dtype=torch.bool),
        "measured": torch.ones(b, 1, c, dtype=torch.bool),
    }


def nearest_ratio(share: torch.Tensor, ratios: tuple[float, ...]) -> np.ndarray:
    """How many of the shares are near each ratio; every share must be near one."""
    distance = (share.flatten()[:, None] - torch.tensor(ratios)).abs()
    assert float(distance.min(1).values.max()) < 0.1
    return np.bincount(distance.argmin(1).numpy(), minlength=len(ratios))


def drawn_hidden(masking: str, b: int, t: int, c: int) -> torch.Tensor:
    module = MaskedSpots(torch.zeros(5), MICRO, masking=masking)
    return module.draw_hidden(wide(b, t, c), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("masking", ["mixed", "channels"])
def test_a_spot_hides_a_share_of_its_values(masking):
    whole = (1.0,) if masking == "mixed" else ()
    partly = nearest_ratio(drawn_hidden(masking, 100, 64, 1000).float().mean(2), RATIOS + whole)[: len(RATIOS)]
    assert chisquare(partly).pvalue > 1e-3


def test_whole_spots_are_hidden_in_a_share_of_each_crop():
    hidden = drawn_hidden("spots", 300, 1024, 3)
    assert torch.equal(hidden.any(2), hidden.all(2))
    assert chisquare(nearest_ratio(hidden[..., 0].float().mean(1), RATIOS)).pvalue > 1e-3


def test_a_hidden_block_is_a_square():
    hidden = drawn_hidden("blocks", 200, 64, 2)
    assert torch.equal(hidden.any(2), hidden.all(2))
    for block in hidden[..., 0].view(-1, 8, 8):
        rows, columns = block.any(1), block.any(0)
        assert torch.equal(block, rows[:, None] & columns[None]) and block.any()
        assert int(rows.sum()) <= 7 and int(columns.sum()) <= 7


def test_half_of_the_crops_hide_a_whole_square():
    hidden = drawn_hidden("mixed", 2000, 64, 20).all(2)
    # Outside the square a spot is hidden whole if its share is 1.
    by_chance = 1 / (len(RATIOS) + 1)
    share = hidden.float().mean(1)
    assert by_chance < float(share.mean()) < by_chance + 0.25
    assert float(share.max()) > 0.5
    assert float((share < 2 * by_chance).float().mean()) > 0.5


def test_a_spot_of_genes_hides_a_share_but_never_all():
    batch = wide(1000, 1024, 1)
    hidden = MaskedGenes.draw_hidden(batch, torch.Generator().manual_seed(0))
    assert chisquare(nearest_ratio(hidden.float().mean((1, 2)), RATIOS)).pvalue > 1e-3


# Attention with a bias


def test_a_token_alone_reads_itself():
    q, k, v = torch.randn(3, 2, 4, 1, 8, generator=torch.Generator().manual_seed(0))
    bias = torch.full((2, 4, 1, 1), -3.0)
    torch.testing.assert_close(attention(q, k, v, bias), scaled_dot_product_attention(q, k, v, attn_mask=bias))


def test_attention_with_a_bias_is_in_float32_in_a_step_of_bf16():
    """Of biases near -200, bf16 keeps whole numbers."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 6, 8, generator=generator).bfloat16()
    bias = -200 - torch.rand(2, 4, 6, 6, generator=generator)
    exact = scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=bias)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attention(q, k, v, bias)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, exact.bfloat16())


@pytest.mark.parametrize("t", (2, 15, 16, 63, 153))
def test_keys_that_are_padded_for_a_gpu_change_no_attention_and_no_gradient(t):
    generator = torch.Generator().manual_seed(t)
    made = torch.randn(3, 2, 4, t, 8, generator=generator)
    bias = -9 * torch.rand(2, 4, t, t, generator=generator)
    found = []
    for change in (lambda *given: given, aligned):
        q, k, v = (x.clone().requires_grad_() for x in made)
        keys, values, padded = change(k, v, bias)
        read = scaled_dot_product_attention(q, keys, values, attn_mask=padded)
        read.square().sum().backward()
        found.append((read, q.grad, k.grad, v.grad))
    assert padded.shape[-1] % ALIGNED == keys.shape[2] % ALIGNED == 0
    torch.testing.assert_close(*found)

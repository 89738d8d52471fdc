"""Patches as images: every value at its pixel, nothing hidden seen, and both backbones learn what neighbours tell."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.budget import Budget, count_flops
from benchmark.errors import UnitBenchError
from benchmark.model.image import BACKBONES, MaskedImage
from benchmark.model.masked import MaskedSpots
from benchmark.model.trunk import PRESETS, Preset
from methods.patch import Patch

MICRO = Preset(d=16, layers=2, heads=2, learning_rate=1e-3)
SIZE, N_GENES, M = 5, 12, 6
PANEL = torch.tensor([3, 0, 11, 7, 2, 9])
by_backbone = pytest.mark.parametrize("backbone", BACKBONES)
seeds = st.integers(0, 2**31)


def make(backbone: str, size: int = SIZE, preset: Preset = MICRO) -> MaskedImage:
    torch.manual_seed(0)
    return MaskedImage(torch.rand(N_GENES), preset, size, M, backbone).eval()


def crops(seed: int, b: int = 3, size: int = SIZE, padding: int = 2) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Crops with one spot in some of the cells, and what is hidden of them: values and whole spots."""
    rng = np.random.default_rng(seed)
    t = size**2 - 6
    pixel = np.stack([rng.permutation(size**2)[:t] for _ in range(b)])
    valid = np.arange(t) < rng.integers(t // 2, t - padding + 1, size=(b, 1))
    cell = np.stack([pixel // size, pixel % size], axis=-1) * valid[..., None]
    hidden = (rng.random((b, t, M)) < rng.choice([0.25, 0.5, 1.0], size=(b, t, 1))) & valid[..., None]
    batch = {
        "values": rng.exponential(size=(b, t, M)).astype(np.float32) * valid[..., None],
        "genes": np.broadcast_to(PANEL, (b, 1, M)),
        "position": (cell - size / 2).astype(np.float32),
        "cell": cell,
        "valid": valid,
    }
    return {name: torch.tensor(value) for name, value in batch.items()}, torch.tensor(hidden)


def encoded(module: MaskedImage, batch: dict, hidden: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return module.encode(batch, hidden)


def predicted(module: MaskedImage, batch: dict, hidden: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return module.read_out(module.encode(batch, hidden), batch["genes"])


def differ(a: torch.Tensor, b: torch.Tensor) -> bool:
    return float((a - b).abs().max()) > 1e-4


# The image


def test_pixels_by_hand():
    module = MaskedImage(torch.tensor([1.0, 0.5]), MICRO, 2, 2, "convnext")
    batch = {
        # Two spots share cell (0, 1), one lies in (1, 0), and one is padding.
        "values": torch.tensor([[[3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 9.0]]]),
        "genes": torch.tensor([[[0, 1]]]),
        "cell": torch.tensor([[[0, 1], [0, 1], [1, 0], [0, 0]]]),
        "valid": torch.tensor([[True, True, True, False]]),
    }
    hidden = torch.tensor([[[False, True], [False, False], [True, False], [False, False]]])
    expected = torch.tensor(
        [
            [[0.0, 3.0], [0.0, 0.0]],  # gene 0: the mean of 3 and 5, less 1; 7 is hidden
            [[0.0, 5.5], [7.5, 0.0]],  # gene 1: 6 alone, less 0.5, since 4 is hidden; 8 less 0.5
            [[0.0, 0.0], [1.0, 0.0]],  # gene 0 is hidden in the spot at (1, 0)
            [[0.0, 0.5], [0.0, 0.0]],  # gene 1 is hidden in one of two
            [[1.0, 0.0], [0.0, 1.0]],  # empty
        ]
    )
    torch.testing.assert_close(module.image(batch, hidden)[0], expected)


@given(seeds)
def test_each_spot_is_the_pixel_of_its_cell(seed):
    module = make("convnext")
    batch, hidden = crops(seed)
    image = module.image(batch, hidden).permute(0, 2, 3, 1).numpy()
    for sample, token in torch.nonzero(batch["valid"]).tolist():
        row, column = batch["cell"][sample, token].tolist()
        values = (batch["values"][sample, token] - module.gene_mean[PANEL]).masked_fill(hidden[sample, token], 0)
        pixel = torch.cat([values, hidden[sample, token].float(), torch.zeros(1)])
        np.testing.assert_allclose(image[sample, row, column], pixel, atol=1e-6)
    assert image[..., -1].sum() == SIZE**2 * len(image) - int(batch["valid"].sum())
    assert not image[image[..., -1] == 1][:, :-1].any()


# What the model sees


@by_backbone
@settings(max_examples=20)
@given(seed=seeds)
def test_hidden_values_are_not_seen(backbone, seed):
    module = make(backbone)
    batch, hidden = crops(seed)
    noise = torch.rand(batch["values"].shape, generator=torch.Generator().manual_seed(seed)) * 9
    altered = batch | {"values": torch.where(hidden, noise, batch["values"])}
    assert torch.equal(encoded(module, batch, hidden), encoded(module, altered, hidden))
    altered = batch | {"values": torch.where(hidden, batch["values"], noise)}
    assert differ(encoded(module, batch, hidden), encoded(module, altered, hidden))


@by_backbone
@settings(max_examples=20)
@given(seed=seeds)
def test_padding_changes_nothing(backbone, seed):
    module = make(backbone)
    batch, hidden = crops(seed)
    valid = batch["valid"]
    other, elsewhere = crops(seed + 1)
    altered = {
        "values": torch.where(valid[..., None], batch["values"], other["values"] + 9),
        "cell": torch.where(valid[..., None], batch["cell"], other["cell"]),
    }
    marks = torch.where(valid[..., None], hidden, elsewhere)
    same = encoded(module, batch | altered, marks)[valid]
    assert torch.equal(same, encoded(module, batch, hidden)[valid])


@by_backbone
@settings(max_examples=20)
@given(seed=seeds)
def test_the_order_of_tokens_means_nothing(backbone, seed):
    module = make(backbone)
    batch, hidden = crops(seed)
    order = torch.randperm(hidden.shape[1], generator=torch.Generator().manual_seed(seed))
    moved = {name: value if name == "genes" else value[:, order] for name, value in batch.items()}
    straight = encoded(module, batch, hidden)[:, order][moved["valid"]]
    assert torch.equal(encoded(module, moved, hidden[:, order])[moved["valid"]], straight)


@by_backbone
@settings(max_examples=20)
@given(seed=seeds)
def test_a_value_in_another_cell_is_another_image(backbone, seed):
    """Two spots change places: both are read from where they now lie, and their neighbours see it too."""
    module = make(backbone)
    batch, hidden = crops(seed)
    hidden[0, :2] = False
    cell = batch["cell"].clone()
    cell[0, [0, 1]] = cell[0, [1, 0]]
    before, after = encoded(module, batch, hidden), encoded(module, batch | {"cell": cell}, hidden)
    change = (before - after).abs().amax(-1)
    assert change[0, :2].min() > 1e-3
    assert change[0, 2:].max() > 1e-5
    assert not change[1:].any()


@by_backbone
@settings(max_examples=20)
@given(seed=seeds)
def test_a_hidden_spot_is_predicted_by_where_it_is(backbone, seed):
    module = make(backbone)
    module.head.weight.data *= 10  # it begins near zero, so that an untrained model predicts each gene's mean
    batch, hidden = crops(seed, b=1)
    hidden[:, :2] = True
    prediction = predicted(module, batch, hidden)[0]
    assert differ(prediction[0], prediction[1])
    taken = {tuple(cell) for cell, there in zip(batch["cell"][0].tolist(), batch["valid"][0], strict=True) if there}
    free = next((y, x) for y in range(SIZE) for x in range(SIZE) if (y, x) not in taken)
    cell = batch["cell"].clone()
    cell[0, 0] = torch.tensor(free)
    assert differ(predicted(module, batch | {"cell": cell}, hidden)[0, 0], prediction[0])


@by_backbone
def test_hidden_is_neither_zero_nor_the_mean_nor_empty(backbone):
    module = make(backbone)
    batch, nothing = crops(0)
    nothing.zero_()
    one = nothing.clone()
    one[0, 0] = True
    mean = module.gene_mean[batch["genes"]].expand_as(batch["values"])
    without = batch["valid"].clone()
    without[0, 0] = False
    found = encoded(module, batch, one)[0, 1]
    for other in (
        batch | {"values": batch["values"].masked_fill(one, 0)},
        batch | {"values": torch.where(one, mean, batch["values"])},
        batch | {"valid": without},
    ):
        assert differ(encoded(module, other, nothing)[0, 1], found)


@by_backbone
def test_a_channel_is_a_gene_by_its_slot(backbone):
    """The panel in another order, its slots of the first layer in the same order, is the same model."""
    module, other = make(backbone), make(backbone)
    batch, hidden = crops(0)
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    moved = batch | {"values": batch["values"][..., order], "genes": batch["genes"][..., order]}
    assert differ(encoded(module, moved, hidden[..., order]), encoded(module, batch, hidden))
    (first,) = [p for p in other.backbone.parameters() if p.dim() == 4 and p.shape[1] == 2 * M + 1]
    first.data = first.data[:, torch.cat([order, M + order, torch.tensor([2 * M])])]
    torch.testing.assert_close(encoded(other, moved, hidden[..., order]), encoded(module, batch, hidden))
    expected = predicted(module, batch, hidden)[..., order]
    torch.testing.assert_close(predicted(other, moved, hidden[..., order]), expected)


# The same trunk, budget and training


@by_backbone
@pytest.mark.parametrize(("size", "n_channels"), [(8, 256), (16, 512)])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_backbone_has_the_parameters_of_the_trunk_within_ten_percent(backbone, preset, size, n_channels):
    with torch.device("meta"):
        gene_mean = torch.zeros(11_871)
        modules = (
            MaskedSpots(gene_mean, PRESETS[preset]),
            MaskedImage(gene_mean, PRESETS[preset], size, n_channels, backbone),
        )
    trunk, image = (sum(parameter.numel() for parameter in module.parameters()) for module in modules)
    assert abs(image / trunk - 1) < 0.1


@by_backbone
def test_every_parameter_learns(backbone):
    module = make(backbone).train()
    batch, hidden = crops(0)
    module(batch, hidden).backward()
    assert not [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize(
    ("backbone", "per_pixel"),
    [
        ("vit", MICRO.layers * (12 * MICRO.d**2 + 2 * SIZE**2 * MICRO.d)),
        ("convnext", 3 * MICRO.layers // 2 * (8 * MICRO.d**2 + 7**2 * MICRO.d)),
    ],
)
def test_a_step_is_counted_as_by_hand(backbone, per_pixel):
    module = make(backbone)
    batch, hidden = crops(0)
    b, t, m = hidden.shape
    pixels = b * SIZE**2
    first = 2 * pixels * (2 * m + 1) * MICRO.d  # its input is data and needs no gradient
    head = 2 * b * t * (MICRO.d**2 + MICRO.d * m)
    assert count_flops(module, batch, hidden) == 2 * first + 3 * (2 * pixels * per_pixel + head)


def smooth(seed: int, b: int = 32, size: int = SIZE) -> dict[str, torch.Tensor]:
    """Full crops of waves that are as long as the crop or longer; each gene follows the wave with its own shift."""
    rng = np.random.default_rng(seed)
    place = np.argwhere(np.ones((size, size)))
    direction, phase = rng.normal(size=(b, 2)) * 0.5, rng.uniform(0, 2 * np.pi, size=(b, 1, 1))
    wave = np.sin((place @ direction.T).T[..., None] + phase + np.linspace(0, 3, M)).astype(np.float32)
    return {
        "values": torch.tensor(wave),
        "genes": PANEL.expand(b, 1, -1),
        "cell": torch.tensor(place).expand(b, -1, -1),
        "position": torch.tensor(place - place.mean(0), dtype=torch.float32).expand(b, -1, -1),
        "valid": torch.ones(b, size**2, dtype=torch.bool),
    }


def trained(backbone: str, steps: int) -> MaskedImage:
    torch.manual_seed(0)
    module = MaskedImage(torch.zeros(N_GENES), MICRO, SIZE, M, backbone)
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    for step in range(steps):
        batch = smooth(step)
        module(batch, module.draw_hidden(batch, torch.Generator().manual_seed(step))).backward()
        optimizer.step()
        optimizer.zero_grad()
    return module


@by_backbone
def test_a_smooth_signal_is_learned(backbone):
    module = trained(backbone, 300).eval()
    batch = smooth(10**6, b=256)
    hidden = module.draw_hidden(batch, torch.Generator().manual_seed(0))
    with torch.no_grad():
        loss = module(batch, hidden)
    by_the_mean = (batch["values"] - batch["values"].mean((0, 1)))[hidden].square().mean()
    assert loss < 0.4 * by_the_mean


@by_backbone
def test_training_repeats_to_the_bit(backbone):
    one, two = (trained(backbone, 5).state_dict() for _ in range(2))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


# The method


@pytest.fixture
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", replace(MICRO, decoder=1))


def fitted(backbone: str, corpus, **options) -> Patch:
    method = Patch(size=4, n_channels=16, channels="corpus_hvg", backbone=backbone, preset="micro", **options)
    method.fit(corpus, Budget("spots", 10_000), 0)
    return method


@by_backbone
@pytest.mark.parametrize("embed", ["overlap", "centre", "tiles", "self"])
def test_every_spot_is_embedded(micro, tissue, backbone, embed):
    slide = tissue[tissue.names[0]]
    method = fitted(backbone, tissue, embed=embed)
    embedding = method.embed(slide)
    assert embedding.shape == (slide.n_obs, MICRO.d)
    assert np.isfinite(embedding).all() and embedding.any(axis=1).all()
    assert np.array_equal(method.embed(slide), embedding)
    assert np.array_equal(fitted(backbone, tissue, embed=embed).embed(slide), embedding)


@by_backbone
def test_a_reconstruction_never_uses_what_it_predicts(micro, tissue, backbone):
    slide = tissue[tissue.names[0]]
    hidden = (slide.obsm["lattice"] < 5).all(axis=1)
    method = fitted(backbone, tissue, masking="blocks")
    predicted = method.reconstruct(slide, hidden)
    assert predicted.shape == slide.shape and np.isfinite(predicted).all()
    counts = slide.X.toarray()
    counts[hidden] = np.random.default_rng(0).poisson(50, size=(hidden.sum(), slide.n_vars))
    altered = slide.copy()
    altered.X = sp.csr_matrix(counts)
    assert np.array_equal(method.reconstruct(altered, hidden)[hidden], predicted[hidden])


# Bad settings


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backbone": "conv"}, "did you mean 'convnext'"),
        ({"channels": "variance"}, "backbone 'vit': channel rule 'variance' .*set channels to corpus_hvg or moran"),
        ({"channels": "slide_hvg"}, "channel rule 'slide_hvg'"),
        ({"tokens": "bag"}, "no tokens 'bag'"),
        ({"embed": "slide"}, "set embed to overlap, centre or tiles"),
    ],
)
def test_what_no_image_can_be_made_of_is_refused(options, said):
    with pytest.raises(UnitBenchError, match=said) as error:
        Patch(**({"backbone": "vit", "channels": "moran"} | options))
    assert "\n" not in str(error.value)

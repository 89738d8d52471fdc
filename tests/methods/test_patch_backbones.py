"""Patches as images: every value is at its pixel, and hidden values are not seen."""

import numpy as np
import torch
from hypothesis import given, settings

from methods.patch.backbones import MaskedImage
from tests.helpers.images import MICRO, PANEL, SIZE, M, by_backbone, crops, differ, encoded, make, predicted, seeds

# The image


def test_pixels_by_hand():
    module = MaskedImage(torch.tensor([1.0, 0.5]), MICRO, 2, 2, "convnext")
    batch = {
        # Two spots share cell (0, 1), one lies in (1, 0), and one is padding.
        "values": torch.tensor([[[3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 9.0]]]),
        "genes": torch.tensor([[[0, 1]]]),
        "measured": torch.tensor([[[True, True]]]),
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
    moved = {name: value if name in ("genes", "measured") else value[:, order] for name, value in batch.items()}
    straight = encoded(module, batch, hidden)[:, order][moved["valid"]]
    assert torch.equal(encoded(module, moved, hidden[:, order])[moved["valid"]], straight)


@by_backbone
@settings(max_examples=20)
@given(seed=seeds)
def test_a_value_in_another_cell_is_another_image(backbone, seed):
    """Two spots change places. Both are read at their new cells, and their neighbours see the change too."""
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
    module.head.weight.data *= 10  # the head starts near zero: an untrained model predicts each gene's mean
    batch, hidden = crops(seed, b=1)
    hidden[:, :2] = True
    prediction = predicted(module, batch, hidden)[0]
    assert differ(prediction[0], prediction[1])
    taken = {tuple(cell) for cell, valid in zip(batch["cell"][0].tolist(), batch["valid"][0], strict=True) if valid}
    free = next((y, x) for y in range(SIZE) for x in range(SIZE) if (y, x) not in taken)
    cell = batch["cell"].clone()
    cell[0, 0] = torch.tensor(free)
    assert differ(predicted(module, batch | {"cell": cell}, hidden)[0, 0], prediction[0])


@by_backbone
def test_hidden_differs_from_zero_from_the_mean_and_from_empty(backbone):
    module = make(backbone)
    batch, nothing = crops(0)
    nothing.zero_()
    one = nothing.clone()
    one[0, 0] = True
    mean = module.gene_mean[batch["genes"]].expand_as(batch["values"])
    without = batch["valid"].clone()
    without[0, 0] = False
    neighbour = encoded(module, batch, one)[0, 1]
    for other in (
        batch | {"values": batch["values"].masked_fill(one, 0)},
        batch | {"values": torch.where(one, mean, batch["values"])},
        batch | {"valid": without},
    ):
        assert differ(encoded(module, other, nothing)[0, 1], neighbour)


@by_backbone
def test_a_channel_is_a_gene_by_its_slot(backbone):
    """The same genes in another order, with the first layer's slots in that order too, are the same model."""
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

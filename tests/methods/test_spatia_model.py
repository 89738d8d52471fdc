"""SPATIA's network: every part that an arm names learns, parts that are off are absent, hidden values are not seen."""

import copy
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmark.core.errors import UnitBenchError
from benchmark.data.prepare import write_corpus
from benchmark.training.flops import count_flops
from benchmark.training.loop import tensors
from methods.spatia import presets
from methods.spatia.fusion import CellFusion
from methods.spatia.image import ImageEncoder, PatchDecoder, patches_of, standardised
from methods.spatia.method import Spatia
from methods.spatia.model import Spatia as Model
from methods.spatia.model import check_terms
from methods.spatia.niche import Niche
from methods.spatia.presets import Design
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


def step(arm, corpus):
    """The arm's untrained model with open levels, a batch and what it hides."""
    method = Spatia(preset="micro", **ARMS[arm])
    unit = method.sampler.fit(corpus)
    torch.manual_seed(0)
    model = Model(torch.zeros(len(corpus.genes)), MICRO, unit.design)
    for alpha in model.alpha.values():
        alpha.data.fill_(0.5)
    batch = tensors(unit.draw(corpus, unit.samples_per_step, np.random.default_rng(0)))
    return model, batch, model.draw_hidden(batch, torch.Generator().manual_seed(0))


@by_arm
def test_every_requested_term_and_every_weight_of_an_arm_has_a_gradient(corpus, arm):
    model, batch, order = step(arm, corpus)
    assert set(model.terms(batch, order)) == set(model.design.terms)
    check_terms(model, batch, order)
    model(batch, order).backward()
    still = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []


@pytest.mark.parametrize("arm", ["A6 niche and its image", "A8 full"])
def test_every_weight_has_a_gradient_under_autocast_too(corpus, arm):
    """Autocast keeps its first copy of a weight, and that has no gradients if it was made for the context."""
    model, batch, order = step(arm, corpus)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(batch, order)
    loss.backward()
    assert all(weight.grad is not None for weight in model.parameters())


@by_arm
def test_no_operation_escapes_the_count_of_flops(corpus, arm):
    model, batch, order = step(arm, corpus)
    assert count_flops(model, batch, order) > 1e6


@by_arm
def test_hidden_values_change_the_loss_and_nothing_else(corpus, arm):
    """Hidden genes are in no input (see the unit's tests). Hidden patches are in the tile, which is read in part."""
    model, batch, order = step(arm, corpus)
    before = model.terms(batch, order)
    if model.design.gene:
        other = model.terms(batch | {"wanted": batch["wanted"] + 1}, order)
        assert not other["genes"].equal(before["genes"])
    if "mae" in before:
        kept = order[:, : order.shape[1] // 4]
        tile = batch["tile"][: len(order)]
        seen = batch["seen"][: len(order)]
        blank = torch.zeros_like(patches_of(tile, 4))
        blank[torch.arange(len(kept))[:, None], kept] = patches_of(tile, 4)[torch.arange(len(kept))[:, None], kept]
        blank = blank.reshape(-1, 2, 2, 4, 4, 3).transpose(2, 3).reshape(tile.shape)
        assert not blank.equal(tile)
        assert model.image(blank, seen, kept).equal(model.image(tile, seen, kept))


def test_a_term_that_moves_no_weight_is_refused(corpus):
    model, batch, order = step("A4 cell", corpus)
    with pytest.raises(UnitBenchError, match="loss term 'mae' moves no weight"):
        check_terms(model, batch | {"seen": torch.zeros_like(batch["seen"])}, order)
    with pytest.raises(UnitBenchError, match="loss term 'genes' moves no weight"):
        check_terms(model, batch | {"asked": torch.zeros_like(batch["asked"])}, order)


# Cell fusion


@pytest.fixture
def sides():
    torch.manual_seed(0)
    return torch.randn(3, 5, 16), torch.ones(3, 5, dtype=torch.bool), torch.randn(3, 4, 24)


@pytest.mark.parametrize(
    ("options", "sees_genes", "sees_image"),
    [
        ((True, "both", 1.0), True, True),
        ((True, "image_to_gene", 1.0), True, True),
        ((True, "gene_to_image", 1.0), True, True),
        ((True, "image_to_gene", 0.0), True, False),
        ((True, "gene_to_image", 0.0), False, True),
        ((False, "both", 1.0), True, True),
    ],
)
def test_weight_zero_removes_the_other_modality(sides, options, sees_genes, sees_image):
    genes, valid, image = sides
    fusion = CellFusion(16, 24, 2, 2, *options)
    fused = fusion(genes, valid, image)
    assert fused.shape == (3, 16)
    assert fusion(genes + torch.randn(5, 16), valid, image).allclose(fused) != sees_genes
    assert fusion(genes, valid, image + torch.randn(4, 24)).allclose(fused) != sees_image


def test_each_direction_changes_the_side_that_queries_alone(sides):
    genes, valid, image = sides
    for direction, changed in (("image_to_gene", 0), ("gene_to_image", 1), ("both", None)):
        fusion = CellFusion(16, 24, 2, 2, True, direction, 1.0)
        alike = [fusion.gene_side(genes, image).equal(genes), fusion.image_side(image, genes, valid).equal(image)]
        assert alike == [False, False] if changed is None else alike == [changed == 1, changed == 0]


def test_weights_are_shares_of_what_crosses_over(sides):
    genes, _, image = sides
    fusion = CellFusion(16, 24, 2, 2, True, "both", 1.0)
    whole = fusion.gene_side(genes, image) - genes
    fusion.w_gene = 0.01
    torch.testing.assert_close(fusion.gene_side(genes, image) - genes, 0.01 * whole, atol=1e-5, rtol=1e-3)


# Levels


def test_at_the_start_context_adds_nothing_and_then_its_alpha(corpus):
    model, _, _ = step("A8 full", corpus)
    cell, niche, tissue = torch.randn(3, 4, 16)
    opened = model.join(cell, niche=niche, tissue=tissue)
    expected = cell + 0.5 * model.level["niche"](niche) + 0.5 * model.level["tissue"](tissue)
    torch.testing.assert_close(opened, expected)
    fresh = Model(torch.zeros(40), MICRO, model.design)
    assert fresh.join(cell, niche=niche, tissue=tissue).equal(cell)


@pytest.mark.parametrize("pooling", get_args(presets.Pooling))
def test_a_niche_reads_the_valid_neighbours_in_any_order(pooling):
    torch.manual_seed(0)
    niche = Niche(16, 2, pooling, None)
    vectors, offset = torch.randn(3, 6, 16), torch.randn(3, 6, 2)
    valid = torch.tensor([[1, 1, 1, 1, 0, 0], [1] * 6, [0] * 6], dtype=torch.bool)
    pooled = niche(vectors, offset, valid)
    assert pooled.isfinite().all()  # a spot without neighbours too
    torch.testing.assert_close(niche(vectors + ~valid[..., None], offset, valid), pooled)
    order = torch.tensor([3, 1, 0, 2, 5, 4])
    torch.testing.assert_close(niche(vectors[:, order], offset[:, order], valid[:, order]), pooled)
    assert not niche(vectors, offset.flip(2), valid)[:2].allclose(pooled[:2])


# Images


def test_patches_are_those_of_a_hand_worked_tile():
    tile = torch.arange(4 * 4 * 3).reshape(1, 4, 4, 3)
    patches = patches_of(tile, 2)
    assert patches.shape == (1, 4, 12)
    assert patches[0, 1].equal(tile[0, :2, 2:].flatten())


def test_the_decoder_is_judged_by_the_hidden_patches_of_seen_tiles():
    torch.manual_seed(0)
    decoder = PatchDecoder(8, 4, 24, 2)
    decoder.head.weight.data.zero_()
    decoder.head.bias.data.zero_()
    tile = torch.randint(256, (2, 8, 8, 3), dtype=torch.uint8)
    order = torch.tensor([[2, 0, 1, 3], [0, 1, 2, 3]])
    loss = decoder.loss(torch.randn(2, 2, 24), order, tile, torch.tensor([True, False]))
    hidden = patches_of(standardised(tile), 4)[0, [0, 1, 3]]
    torch.testing.assert_close(loss, hidden.square().mean())


def test_a_spot_without_an_image_is_one_learned_vector_and_no_blank_tile():
    encoder = ImageEncoder(8, 4, 24, 1, 2, absent=True)
    tile = torch.randint(256, (3, 8, 8, 3), dtype=torch.uint8)
    tokens = encoder(tile, torch.tensor([True, False, False]))
    assert (tokens[1:] == encoder.absent).all()
    assert not encoder(torch.zeros_like(tile), torch.ones(3, dtype=torch.bool))[1].allclose(tokens[1])


# Weights of a user's choice


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_are_loaded_whole(tmp_path, suffix):
    torch.manual_seed(0)
    one, other = (ImageEncoder(8, 4, 24, 1, 2, absent=False) for _ in range(2))
    path = tmp_path / f"vit.{suffix}"
    save_file(one.vit.state_dict(), path) if suffix == "safetensors" else torch.save(one.vit.state_dict(), path)
    other.load(path)
    assert all(value.equal(one.vit.state_dict()[name]) for name, value in other.vit.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("cls_token"), "the weights lack 1 tensor.s., the first cls_token"),
        (lambda state: state.update(head=torch.zeros(2)), "have beside the net's 1 tensor.s., the first head"),
        (lambda state: state.update(pos_embed=torch.zeros(1, 9, 24)), "another shape of 1 tensor.s., the first pos_"),
    ],
)
def test_weights_of_another_net_are_one_line(tmp_path, change, message):
    encoder = ImageEncoder(8, 4, 24, 1, 2, absent=False)
    state = copy.deepcopy(encoder.vit.state_dict())
    change(state)
    save_file(state, tmp_path / "vit.safetensors")
    with pytest.raises(UnitBenchError, match=message):
        encoder.load(tmp_path / "vit.safetensors")


@pytest.mark.parametrize(("name", "content"), [("a.safetensors", b"no"), ("a.pt", b"no"), ("absent.pt", None)])
def test_a_file_without_weights_is_one_line(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UnitBenchError, match="no weights"):
        ImageEncoder(8, 4, 24, 1, 2, absent=False).load(tmp_path / name)


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path):
    torch.save({"a": Design()}, tmp_path / "vit.pt")
    with pytest.raises(UnitBenchError, match="no weights"):
        ImageEncoder(8, 4, 24, 1, 2, absent=False).load(tmp_path / "vit.pt")

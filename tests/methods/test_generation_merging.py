"""Token merging: groups are means, each token gets a copy back, a ratio of 0 changes no bit, genes stay unmerged."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.model.trunk import Preset
from benchmark.training.flops import count_flops
from methods.generation.decoder import Block, Decoder, Expression
from methods.generation.merging import MOST, divide, n_merged, plan

SMALL = Preset(d=16, layers=2, heads=2, learning_rate=1e-3)


def picks(side: int, seed: int) -> torch.Tensor:
    return torch.randint(4, ((side // 2) ** 2,), generator=torch.Generator().manual_seed(seed))


def tokens(b: int, side: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(b, side**2, d, generator=torch.Generator().manual_seed(seed))


@given(st.sampled_from([2, 4, 8]), st.integers(0, 100))
def test_each_square_of_four_has_one_destination_and_every_token_is_on_one_side(side, seed):
    destination, source = divide(side, picks(side, seed))
    assert sorted(torch.cat([destination, source]).tolist()) == list(range(side**2))
    square = destination // side // 2 * (side // 2) + destination % side // 2
    assert square.tolist() == list(range((side // 2) ** 2))


@given(st.sampled_from([4, 8]), st.floats(0, MOST), st.integers(0, 100))
def test_merging_averages_groups_and_unmerging_copies_them(side, ratio, seed):
    x = tokens(2, side, 3, seed)
    merging = plan(x, side, ratio, picks(side, seed))
    merged = merging.merge(x)
    assert merged.shape[1] == side**2 - n_merged(side, ratio)
    back = merging.unmerge(merged)
    for b in range(2):
        for number, destination in enumerate(merging.destination.tolist()):
            group = [destination, *merging.merged[b][merging.into[b] == number].tolist()]
            mean = x[b, group].mean(dim=0)
            for token in group:
                torch.testing.assert_close(back[b, token], mean)
        torch.testing.assert_close(back[b, merging.kept[b]], x[b, merging.kept[b]], rtol=0, atol=0)


@given(st.integers(0, 100))
def test_the_tokens_merged_are_those_most_like_a_destination(seed):
    x, side = tokens(1, 8, 4, seed), 8
    merging = plan(x, side, 0.25, picks(side, seed))
    destination = x[0][merging.destination]
    likeness = torch.nn.functional.cosine_similarity(x[0][:, None], destination[None], dim=-1).amax(dim=1)
    assert likeness[merging.merged[0]].min() >= likeness[merging.kept[0]].max() - 1e-6


def test_equal_tokens_are_unchanged_by_merging():
    x = torch.ones(2, 16, 5)
    merging = plan(x, 4, 0.5, picks(4, 0))
    torch.testing.assert_close(merging.unmerge(merging.merge(x)), x)


def decoder(merging: float) -> Decoder:
    torch.manual_seed(0)
    return Decoder(Expression(torch.zeros(5), torch.ones(5), SMALL.d), SMALL, pixels=16, patch=2, merging=merging)


def step(merging: float):
    torch.manual_seed(1)
    x, t, values = torch.randn(2, 3, 16, 16), torch.rand(2), torch.randn(2, 5)
    net = decoder(merging)
    out = net(x, t, values, net.draw_pick(torch.Generator().manual_seed(0)))
    out.square().mean().backward()
    return out, {name: p.grad for name, p in net.named_parameters()}


def without_merging(block: Block, x, genes, condition):
    """The layer written out, without merging."""
    shift1, scale1, gate1, shift3, scale3, gate3 = block.modulation(condition)[:, None].chunk(6, dim=-1)
    h = block.norm1(x) * (1 + scale1) + shift1
    x = x + gate1 * block.attention(h, h)
    x = x + block.cross(block.norm2(x), genes)
    return x + gate3 * block.mlp(block.norm3(x) * (1 + scale3) + shift3)


def test_a_ratio_of_zero_is_bit_equal_to_a_layer_without_merging():
    torch.manual_seed(0)
    block = Block(16, 2, side=8, merging=0.0)
    x, genes, condition = torch.randn(2, 64, 16), torch.randn(2, 5, 16), torch.randn(2, 16)
    assert torch.equal(block(x, genes, condition, picks(8, 0)), without_merging(block, x, genes, condition))


def test_a_ratio_of_zero_leaves_values_and_gradients_to_the_bit_as_no_ratio_at_all():
    torch.manual_seed(0)
    plain = Decoder(Expression(torch.zeros(5), torch.ones(5), SMALL.d), SMALL, pixels=16, patch=2)
    torch.manual_seed(1)
    x, t, values = torch.randn(2, 3, 16, 16), torch.rand(2), torch.randn(2, 5)
    out = plain(x, t, values, torch.empty(0, dtype=torch.long))
    out.square().mean().backward()
    other, gradients = step(0.0)
    assert torch.equal(out, other)
    assert all(torch.equal(p.grad, gradients[name]) for name, p in plain.named_parameters())


def test_half_of_the_tokens_merged_changes_the_image_and_keeps_its_shape():
    (full, _), (half, gradients) = step(0.0), step(0.5)
    assert half.shape == full.shape and not torch.equal(half, full)
    assert all(g.abs().sum() > 0 for g in gradients.values())


@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_gene_tokens_reach_cross_attention_unmerged(ratio):
    seen = []
    net = decoder(ratio)
    for block in net.blocks:
        block.cross.register_forward_pre_hook(lambda module, inputs: seen.append([x.shape[1] for x in inputs]))
    net(torch.randn(2, 3, 16, 16), torch.rand(2), torch.randn(2, 5), net.draw_pick(torch.Generator()))
    assert seen == [[64, 5]] * 2


class Step(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, batch):
        return self.net(**batch).square().mean()


def test_merging_saves_the_work_of_the_tokens_that_disappear():
    """Counted on the meta device. Linear layers cost in proportion to the tokens, attention to their square."""
    work = {}
    for ratio in (0.0, 0.5):
        net = decoder(ratio)
        batch = {"x": torch.randn(2, 3, 16, 16), "t": torch.rand(2), "values": torch.randn(2, 5)}
        work[ratio] = count_flops(Step(net), batch | {"pick": net.draw_pick(torch.Generator())})
    assert 0.3 < work[0.5] / work[0.0] < 0.75

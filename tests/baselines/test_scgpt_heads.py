"""scGPT's heads, and the work of a step that the counter sees."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from baselines.scgpt.losses import ecs, masked_mse, neighbour_cells
from benchmark.training.flops import count_flops
from tests.helpers.scgpt import D_HID, HEADS, LAYERS, PAD, B, D, K, Q, cells, equal, small

# Heads


def test_a_cell_predicts_a_gene_by_the_product_with_the_genes_query():
    model = small(zero_prob=True, impute=True)
    genes, cell = cells()[3], torch.randn(B, D).double()
    for head, score in (
        (model.mvc_decoder, model.mvc),
        (model.impute_mvc_decoder, model.impute),
    ):
        query = torch.sigmoid(head.gene2query(model.encoder(genes)))
        equal(score(cell, genes), torch.einsum("btd,bd->bt", head.W(query), cell))
    query = torch.sigmoid(model.mvc_decoder.gene2query(model.encoder(genes)))
    logit = torch.einsum("btd,bd->bt", model.mvc_decoder.W_zero_logit(query), cell)
    value, probability = model.mvc_with_zero_probability(cell, genes)
    equal(value, model.mvc(cell, genes))
    equal(probability, logit.sigmoid())


def test_value_and_zero_probability_are_three_layers_each():
    model, h = small(zero_prob=True), torch.randn(B, K, D).double()
    for head, output in (
        (model.decoder.fc, model.value(h)),
        (model.decoder.zero_logit, model.zero_probability(h).logit()),
    ):
        x = nn.functional.leaky_relu(h @ head[0].weight.T + head[0].bias, 0.01)
        x = nn.functional.leaky_relu(x @ head[2].weight.T + head[2].bias, 0.01)
        equal(output, (x @ head[4].weight.T + head[4].bias)[..., 0])


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_two_of_four_experts_are_weighted_by_the_gate(seed):
    model, h = small(experts=4), torch.randn(B, K, D, generator=torch.Generator().manual_seed(seed)).double()
    share = model.decoder.moe["gate"]["gate"](h).softmax(-1)
    values = torch.cat([expert["fc"](h) for expert in model.decoder.moe["experts"]], dim=-1)
    best = share.sort(dim=-1, descending=True)
    weighted = values.gather(-1, best.indices)[..., :2] * best.values[..., :2]
    equal(model.value(h), weighted.sum(-1) / best.values[..., :2].sum(-1))
    gate = model.decoder.gate(h)
    equal(gate.sum(-1), torch.ones(B, K).double())
    assert ((gate > 0).sum(-1) == 2).all()


def test_two_experts_are_used_even_where_the_gate_prefers_none():
    model = small(experts=4)
    nn.init.zeros_(model.decoder.moe["gate"]["gate"].weight)
    nn.init.zeros_(model.decoder.moe["gate"]["gate"].bias)
    gate = model.decoder.gate(torch.randn(B, K, D).double())
    assert (gate.sort(dim=-1).values == torch.tensor([0, 0, 0.5, 0.5])).all()


def test_the_discriminator_learns_what_the_encoder_unlearns():
    model, cell = small(n_domains=3), torch.randn(B, D).double().requires_grad_()
    head, plain = model.grad_reverse_discriminator, cell.detach().clone().requires_grad_()
    logits = head.out_layer(head._decoder(plain))
    equal(model.discriminate(cell), logits)
    loss = nn.functional.cross_entropy
    target = torch.tensor([0, 1, 2])
    (mine,) = torch.autograd.grad(loss(logits, target), head.out_layer.weight, retain_graph=True)
    loss(logits, target).backward()
    loss(model.discriminate(cell), target).backward()
    equal(cell.grad, -plain.grad)
    equal(head.out_layer.weight.grad, 2 * mine)  # the same sign both times


# Work


class Step(nn.Module):
    """A loss that depends on every output of `generate`."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch):
        known, query = self.model.generate(batch["genes"], batch["values"], batch["padding"], batch["query"])
        return known.sum() + query.sum()


def test_the_counter_sees_all_of_generate():
    genes, values, padding, query_genes = cells()
    batch = {"genes": genes, "values": values, "padding": padding, "query": query_genes}
    attention = 2 * 2 * K * K * D + 2 * 2 * Q * (K + 1) * (D + 8 * HEADS)  # scores and sums; 8 spare columns a head
    projections = 2 * (K + Q) * D * 3 * D + 2 * K * D * D
    feed_forward = 2 * 2 * (K + Q) * D * D_HID
    once = B * (LAYERS * (attention + projections + feed_forward) + 2 * K * D * D)
    scalar = 2 * B * K * D  # from a value to the first layer; a value takes no gradient
    assert count_flops(Step(small()), batch) == 3 * once + 2 * scalar


@pytest.mark.parametrize("settings", [{}, {"experts": 4, "impute": True}])
def test_the_counter_counts_a_whole_step(settings):
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = small(**settings)

        def forward(self, batch):
            h, query = self.model.generate(batch["genes"], batch["values"], batch["padding"], batch["query"])
            cell, where = h[:, 0], batch["query"] != PAD
            predictions = [self.model.value(query), self.model.mvc(cell, batch["query"])]
            if settings:
                near = neighbour_cells(cell, batch["position"], 2)
                predictions.append(self.model.impute(near, batch["query"]))
            return sum(masked_mse(p, batch["query"], where) for p in predictions) + ecs(cell, 0.8)

    genes, values, padding, query_genes = cells()
    batch = {"genes": genes, "values": values, "padding": padding, "query": query_genes, "position": torch.rand(B, 2)}
    assert count_flops(Whole(), batch) > count_flops(Step(small()), batch)

"""scGPT's model: which tokens see which, layers equal to torch's own, and every head against its formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from baselines.scgpt.losses import ecs, masked_mse, neighbour_cells
from baselines.scgpt.model import ScGPT
from benchmark.training.flops import count_flops

PAD, D, HEADS, LAYERS, D_HID = 20, 16, 2, 2, 24
B, K, Q = 3, 6, 5  # cells, known tokens, queries


def small(seed=0, **settings):
    """A model in float64, in training mode but without dropout."""
    torch.manual_seed(seed)
    return ScGPT(PAD + 1, PAD, D, HEADS, LAYERS, D_HID, **({"dropout": 0.0} | settings)).double().train()


def cells(seed=0):
    """Known genes, values, padding (the last tokens of every cell after the first), and query genes."""
    generator = torch.Generator().manual_seed(seed)
    genes = torch.randint(0, PAD, (B, K + Q), generator=generator)
    values = torch.randint(1, 51, (B, K), generator=generator).double()
    padding = torch.arange(K).expand(B, K) >= torch.tensor([K, K - 1, K - 3])[:, None]
    return genes[:, :K].masked_fill(padding, PAD), values.masked_fill(padding, -2), padding, genes[:, K:]


def equal(a, b):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def differ(a, b) -> bool:
    return float((a - b).detach().abs().max()) > 1e-6


# What a published checkpoint holds


def published(mixture=False):
    """Shapes of the tensors of the released whole-human model, or of scGPT-spatial, under the names of plain torch."""

    def both(name, *shape):
        return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}

    def mlp(name):
        return both(f"{name}.fc.0", 512, 512) | both(f"{name}.fc.2", 512, 512) | both(f"{name}.fc.4", 1, 512)

    def from_cell(name):
        return both(f"{name}.gene2query", 512, 512) | {f"{name}.W.weight": (512, 512)}

    tensors = {"encoder.embedding.weight": (60_697, 512), "flag_encoder.weight": (2, 512)}
    tensors |= both("encoder.enc_norm", 512) | both("value_encoder.norm", 512)
    tensors |= both("value_encoder.linear1", 512, 1) | both("value_encoder.linear2", 512, 512)
    for layer in (f"transformer_encoder.layers.{i}" for i in range(12)):
        attention = f"{layer}.self_attn"
        tensors |= {f"{attention}.in_proj_weight": (1536, 512), f"{attention}.in_proj_bias": (1536,)}
        tensors |= both(f"{attention}.out_proj", 512, 512)
        tensors |= both(f"{layer}.linear1", 512, 512) | both(f"{layer}.linear2", 512, 512)
        tensors |= both(f"{layer}.norm1", 512) | both(f"{layer}.norm2", 512)
    tensors |= from_cell("mvc_decoder")
    if not mixture:
        return tensors | mlp("decoder")
    for expert in range(4):
        tensors |= mlp(f"decoder.moe.experts.{expert}")
    return tensors | both("decoder.moe.gate.gate", 4, 512) | from_cell("impute_mvc_decoder")


@pytest.mark.parametrize(
    "settings, n_tensors, millions", [({}, 163, 51.33), ({"experts": 4, "impute": True}, 186, 53.43)]
)
def test_tensors_are_those_of_the_published_checkpoints(settings, n_tensors, millions):
    with torch.device("meta"):
        state = ScGPT(60_697, 60_694, **settings).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == published(bool(settings))
    assert len(state) == n_tensors
    assert round(sum(value.numel() for value in state.values()) / 1e6, 2) == millions


# Which tokens attend to which


def inputs(model, genes, values):
    return model.encoder(genes) + model.value_encoder(values)


@pytest.mark.parametrize("training", [True, False])
def test_known_tokens_pass_torchs_own_post_norm_layers(training):
    model = small().train(training)
    genes, values, padding, _ = cells()
    expected = inputs(model, genes, values)
    for ours in model.transformer_encoder["layers"]:
        layer = nn.TransformerEncoderLayer(D, HEADS, D_HID, dropout=0.0, batch_first=True).double()
        layer.load_state_dict(ours.state_dict())
        expected = layer(expected, src_key_padding_mask=padding)
    equal(model.encode(genes, values, padding)[~padding], expected[~padding])
    equal(model.generate(*cells())[0][~padding], expected[~padding])


def test_a_query_attends_to_the_known_tokens_and_itself_as_under_the_dense_mask():
    """Against one softmax over all keys with the whole mask, head by head."""
    model = small()
    genes, values, padding, query_genes = cells()
    known = inputs(model, genes, values)
    query = model.encoder(query_genes) + model.flag_encoder.weight[1]
    hidden = torch.cat([padding[:, None].expand(B, Q, K), ~torch.eye(Q, dtype=torch.bool).expand(B, Q, Q)], dim=-1)
    for layer in model.transformer_encoder["layers"]:
        weight, bias = layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias
        _, key, value = (torch.cat([known, query], dim=1) @ weight.T + bias).split(D, dim=-1)
        asks = (query @ weight.T + bias)[..., :D]
        contexts = []
        for head in range(HEADS):
            part = slice(head * D // HEADS, (head + 1) * D // HEADS)
            scores = asks[..., part] @ key[..., part].transpose(1, 2) / (D / HEADS) ** 0.5
            contexts.append(scores.masked_fill(hidden, -torch.inf).softmax(-1) @ value[..., part])
        x = layer.norm1(query + torch.cat(contexts, dim=-1))
        query = layer.norm2(x + layer.linear2(layer.linear1(x).relu()))
        known, _ = layer(known, ~padding[:, None, None])
    equal(model.generate(genes, values, padding, query_genes)[1], query)


@settings(max_examples=20)
@given(seed=st.integers(0, 100), which=st.integers(0, Q - 1), gene=st.integers(0, PAD))
def test_no_token_sees_another_query(seed, which, gene):
    model = small()
    *known, query_genes = cells(seed)
    changed = query_genes.clone()
    changed[:, which] = gene
    one, other = model.generate(*known, query_genes), model.generate(*known, changed)
    others = torch.arange(Q) != which
    equal(one[0], other[0])
    equal(one[1][:, others], other[1][:, others])
    assert differ(one[1], other[1]) == bool((changed != query_genes).any())


def test_a_query_sees_every_known_token_that_is_not_padding():
    model = small()
    genes, values, padding, query_genes = cells()
    before = model.generate(genes, values, padding, query_genes)[1]
    for token in range(K):
        changed = values.clone()
        changed[:, token] += 7
        after = model.generate(genes, changed, padding, query_genes)[1]
        assert [differ(a, b) for a, b in zip(before, after, strict=True)] == (~padding[:, token]).tolist()


@pytest.mark.parametrize("training", [True, False])
def test_no_token_attends_to_padding(training):
    model = small().train(training)
    genes, values, padding, _ = cells()
    shorter = model.encode(genes[2:, : K - 3], values[2:, : K - 3], padding[2:, : K - 3])
    equal(model.encode(genes, values, padding)[2:, : K - 3], shorter)


def test_only_known_tokens_pass_the_output_projection():
    model = small()
    before = model.generate(*cells())
    with torch.no_grad():
        model.transformer_encoder["layers"][-1].self_attn.out_proj.weight.mul_(3)
    after = model.generate(*cells())
    equal(before[1], after[1])
    assert differ(before[0], after[0])


def test_the_cell_takes_the_place_of_the_first_tokens_input():
    model = small()
    genes, values, padding, query_genes = cells()
    plain = model.generate(genes, values, padding, query_genes)
    prompted = model.generate(genes, values, padding, query_genes, inputs(model, genes, values)[:, 0])
    for a, b in zip(plain, prompted, strict=True):
        equal(a, b)
    genes[:, 0] = (genes[:, 0] + 1) % PAD
    cell = torch.ones(B, D).double()
    one = model.generate(genes, values, padding, query_genes, cell)
    other = model.generate(*cells(), cell)
    equal(one[1], other[1])


def test_values_are_clipped_from_above():
    model = small()
    genes, values, padding, _ = cells()
    same = [model.encode(genes, torch.full_like(values, value), padding) for value in (512, 10_000)]
    equal(*same)
    assert differ(same[0], model.encode(genes, torch.full_like(values, 511), padding))


def test_dropout_is_in_attention_too_unless_it_is_set_apart():
    model, batch = small(dropout=0.5), cells()
    with torch.no_grad():
        assert model.transformer_encoder["layers"][0].attention_dropout == 0.5
        equal(model.eval().generate(*batch)[1], small().generate(*batch)[1])
        model = small(attention_dropout=0.5)
        assert all(differ(a, b) for a, b in zip(model.generate(*batch), model.generate(*batch), strict=True))


def test_every_parameter_learns_and_the_padding_token_does_not():
    model = small(impute=True, zero_prob=True, n_domains=2)
    *known, query_genes = cells()
    h, query = model.generate(*known, query_genes)
    cell = h[:, 0]
    outputs = [model.value(query), model.zero_probability(query), model.discriminate(cell)]
    outputs += [model.impute(cell, query_genes), *model.mvc_with_zero_probability(cell, query_genes)]
    sum(output.square().sum() for output in outputs).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not model.encoder.embedding.weight.grad[PAD].any()


def test_half_precision_changes_little():
    model, (genes, values, padding, query_genes) = small().float(), cells()
    with torch.no_grad():
        exact = model.generate(genes, values.float(), padding, query_genes)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model.generate(genes, values.float(), padding, query_genes)
    for a, b in zip(exact, rough, strict=True):
        torch.testing.assert_close(a, b.float(), rtol=0, atol=0.1)


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

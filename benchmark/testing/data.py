"""Checks of what makes data: a dataset (`benchmark.core.contracts.Dataset`) and a channel rule (`Rule`)."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from benchmark.core.contracts import Dataset, Rule
from benchmark.data.prepare import prepare
from benchmark.data.slide import check_slide
from benchmark.stats.leaderboard import leaderboard
from benchmark.testing.options import has_options_of_known_types
from benchmark.testing.run import reasons, tiny_run
from benchmark.testing.subject import Check, Subject, require
from benchmark.testing.tissue import fingerprint, scratch
from benchmark.units.expression import Field
from benchmark.units.expression import field as make_field

RECORD = ("name", "title", "source", "licence", "citation", "technology", "labels", "files", "donors", "groups")
M = 16  # channels


def is_a_dataset(subject: Subject) -> None:
    """It loads with its options, has a docstring, `record` and `slides`."""
    data = subject.make()
    require(
        (type(data).__doc__ or "").strip(), "the class has no docstring; its first line is shown by `unitbench list`"
    )
    require(isinstance(data, Dataset), "record() and slides() are asked")


def has_a_whole_record(subject: Subject) -> None:
    """`record()` has all keys, can be written as JSON, and is the same when asked again."""
    record = subject.make().record()
    missing = [key for key in RECORD if key not in record]
    require(not missing, f"record() lacks {', '.join(missing)}")
    require(record["donors"], "record()['donors'] is empty: the donor of each slide, by its name, is asked")
    require(set(record["donors"]) == set(record["groups"]), "record(): donors and groups name different slides")
    fine = all({"path", "sha256"} <= set(file) for file in record["files"])
    require(fine, "record()['files']: path and sha256 of each are asked")
    try:
        json.dumps(record, allow_nan=False)
    except (TypeError, ValueError) as error:
        require(False, f"record() is no JSON: {error}")
    require(subject.make().record() == record, "record() differs when asked again")


def gives_slides_of_the_schema(subject: Subject) -> None:
    """Every slide fits the schema, and the record knows its name, donor and group."""
    record, names = subject.make().record(), []
    for slide in subject.make().slides():
        check_slide(slide, subject.name)
        name = slide.uns["slide"]
        names.append(name)
        require(name in record["donors"], f"slide {name!r} is not in record()['donors']")
        for key, known in (("donor", "donors"), ("group", "groups")):
            asked = record[known][name]
            require(
                slide.uns[key] == asked, f"slide {name}: uns[{key!r}] is {slide.uns[key]!r}, the record says {asked!r}"
            )
    require(len(set(names)) == len(names), "two slides have one name")
    require(
        set(names) == set(record["donors"]),
        f"record() names slides that are not given: {set(record['donors']) - set(names)}",
    )


def gives_the_same_slides_again(subject: Subject) -> None:
    """A second reading gives the same slides."""
    first, second = ([fingerprint(slide) for slide in subject.make().slides()] for _ in range(2))
    require(first == second, "slides differ when read again")


def makes_a_corpus(subject: Subject) -> None:
    """`unitbench prepare` makes a corpus of it."""
    data = subject.make()
    prepare(data, scratch())


def is_a_rule(subject: Subject) -> None:
    """It loads with its options, has a docstring, `shared`, `fit` and `choose`."""
    rule = subject.make()
    require(
        (type(rule).__doc__ or "").strip(), "the class has no docstring; its first line is shown by `unitbench list`"
    )
    require(isinstance(rule, Rule), "shared, fit(corpus, m) and choose(field, member, m, rng) are asked")
    require(isinstance(rule.shared, bool), f"shared is {rule.shared!r}, True or False is asked")


def fits(subject: Subject) -> None:
    """`fit(corpus, m)` gives a rule."""
    require(isinstance(_rule(subject), Rule), "fit returned no rule; return self where nothing is fitted")


def chooses_genes(subject: Subject) -> None:
    """`choose` gives `m` genes for each crop, int64 `[n, m]` or `[1, m]`, none twice, also for a crop of one spot or of
    none."""
    field, spots = _crops(subject)
    genes = np.asarray(_rule(subject).choose(field, spots, M, np.random.default_rng(0)))
    n_genes = field.n_genes
    require(
        genes.shape in ((len(spots), M), (1, M)),
        f"choose gave shape {genes.shape}, ({len(spots)}, {M}) or (1, {M}) is asked",
    )
    require(np.issubdtype(genes.dtype, np.integer), f"choose gave {genes.dtype}, int64 is asked")
    require(((genes >= 0) & (genes < n_genes)).all(), f"choose gave genes outside 0 to {n_genes - 1}")
    require(all(len(set(row)) == M for row in genes.tolist()), "choose gave a gene twice in one crop")


def chooses_measured_genes(subject: Subject) -> None:
    """On a slide that has measured every other gene, `choose` gives such genes alone."""
    whole, spots = _crops(subject)
    field = replace(whole, panel=whole.panel[::2])
    genes = np.asarray(_rule(subject).choose(field, spots, M, np.random.default_rng(0)))
    require(bool(np.isin(genes, field.panel).all()), "choose gave a gene that the slide has not measured (field.panel)")


def chooses_the_same_again(subject: Subject) -> None:
    """The same generator gives the same genes, and the field stays as it was."""
    field, spots = _crops(subject)
    before = field.counts.data.copy()
    first, second = (_rule(subject).choose(field, spots, M, np.random.default_rng(0)) for _ in range(2))
    require(np.array_equal(first, second), "choose gave other genes from the same generator")
    require(np.array_equal(field.counts.data, before), "choose changed the field")


def is_shared_if_it_says_so(subject: Subject) -> None:
    """A rule with `shared` shows the same genes in every crop of every slide."""
    rule = _rule(subject)
    if rule.shared:
        chosen = [
            np.unique(
                rule.choose(make_field(slide), np.tile(np.arange(slide.n_obs), (3, 1)), M, np.random.default_rng(i)),
                axis=0,
            )
            for i, slide in enumerate(subject.corpus)
        ]
        require(
            all(np.array_equal(genes, chosen[0]) and len(genes) == 1 for genes in chosen),
            "shared is True, and crops differ",
        )


def reaches_the_leaderboard(subject: Subject) -> None:
    """A whole tiny run of `patch` with this rule ends with a score."""
    options = {"size": 4, "n_channels": M, "channels": subject.name, "preset": "nano"}
    rows = tiny_run(subject.corpus, [{"method": "patch", "options": options}], ["domain"], [0.0])
    require(not reasons(rows), f"the run failed: {reasons(rows)}")
    require(leaderboard(rows)["value"].notna().any(), "the run gave it no score")


DATASET_CHECKS: list[Check] = [
    is_a_dataset,
    has_options_of_known_types,
    has_a_whole_record,
    gives_slides_of_the_schema,
    gives_the_same_slides_again,
    makes_a_corpus,
]
RULE_CHECKS: list[Check] = [
    is_a_rule,
    has_options_of_known_types,
    fits,
    chooses_genes,
    chooses_measured_genes,
    chooses_the_same_again,
    is_shared_if_it_says_so,
    reaches_the_leaderboard,
]


def _rule(subject: Subject) -> Rule:
    return subject.keep("rule", lambda: subject.make().fit(subject.training, M))


def _crops(subject: Subject) -> tuple[Field, np.ndarray]:
    """A slide and the spots of some crops: many, one, none."""
    spots = np.full((4, 40), -1)
    spots[0], spots[1, :20], spots[2, 0] = np.arange(40), np.arange(40, 60), 5
    return make_field(subject.test_slide), spots

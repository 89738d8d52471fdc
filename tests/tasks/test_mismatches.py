"""Labels that do not fit between slides: what is named before training, and which task cannot score anything."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.errors import UnitBenchError
from benchmark.data.prepare import write_corpus
from benchmark.data.splits import donor_folds, everything
from benchmark.tasks.annotation import Annotation
from benchmark.tasks.domain import Domain
from benchmark.tasks.label_from_image import LabelFromImage
from benchmark.tasks.mismatches import Mismatch, alike, check_labels, mismatched, unscorable


def relabelled(tissue, folder, change):
    """The tissue with labels `change(donor, label)`; None: the spot has no label."""
    slides = [slide.copy() for slide in tissue]
    for slide in slides:
        label = [change(slide.uns["donor"], old) for old in slide.obs["label"].astype(str)]
        slide.obs["label"] = pd.Categorical(np.array(label, dtype=object))
    return write_corpus(slides, folder, {"name": "relabelled"})


def folds(corpus):
    return donor_folds(corpus.table["group"].to_dict(), None)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("L1", "Layer1"), ("L1", "layer 1"), ("1", "1.0"), ("1", "Layer_1"), ("Tumor", "tumor"), ("T cell", "T  cell"),
        ("T-cell", "T cell"), ("white matter ", "white matter"), ("connective tissue", "conective tissue"),
    ],
)  # fmt: skip
def test_spellings_of_one_label_are_alike(a, b):
    assert alike(a, b) and alike(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("L1", "L2"), ("L1", "L11"), ("1", "10"), ("T cell", "B cell"), ("CD4 T cell", "CD8 T cell"), ("L1", "WM"),
        ("epithelial", "endothelial"), ("cancer in situ", "invasive cancer"), ("ER+", "ER-"),
        ("PD-L1 staining+", "PD-L1 staining-"),
    ],
)  # fmt: skip
def test_different_labels_are_not(a, b):
    assert not alike(a, b) and not alike(b, a)


@given(st.text(max_size=12), st.text(max_size=12))
def test_being_alike_goes_both_ways(a, b):
    assert alike(a, a)
    assert not alike(a, b) or alike(a.upper(), a.upper())


def test_a_label_on_no_training_slide_is_named_with_its_near_miss(tissue, tmp_path):
    names = {label: f"L{number}" for number, label in enumerate(tissue.table["labels"].iloc[0])}
    rename = lambda donor, old: names[old].replace("L", "Layer" if donor == "donor1" else "L")  # noqa: E731
    corpus = relabelled(tissue, tmp_path, rename)
    by_fold = [mismatched(Domain(), corpus, fold) for fold in folds(corpus)]
    assert by_fold[0] == by_fold[2] == []
    assert {(m.label, m.near) for m in by_fold[1]} >= {("Layer0", ("L0",)), ("Layer1", ("L1",))}
    assert by_fold[1][0] == Mismatch("domain", "fold1", "Layer0", ("donor1_0", "donor1_1"), ("L0",))
    assert str(by_fold[1][0]) == (
        "task 'domain', fold1: label 'Layer0' is on no training slide, but on donor1_0, donor1_1; is it 'L0'?"
    )
    lines = list(check_labels(Domain(), corpus, folds(corpus)))
    assert "task 'domain': labels 'L0' and 'Layer0' may mean the same; if so, give them one name" in lines


def test_a_label_of_one_slide_is_named_in_the_fold_that_tests_it(tissue, tmp_path):
    corpus = relabelled(tissue, tmp_path, lambda donor, old: old)
    slides = [slide.copy() for slide in corpus]
    slides[2].obs["label"] = slides[2].obs["label"].cat.add_categories("rare")
    slides[2].obs.loc[slides[2].obs_names[:12], "label"] = "rare"
    corpus = write_corpus(slides, tmp_path / "rare", {"name": "rare"})
    (line,) = check_labels(Domain(), corpus, folds(corpus))
    assert line == "task 'domain', fold1: label 'rare' is on slide donor1_0 only"


def test_labels_that_fit_give_no_line(tissue):
    both = [*folds(tissue), everything(tissue.names)]
    assert list(check_labels(Domain(), tissue, both)) == []
    assert list(check_labels(Annotation("cell_type"), tissue, both)) == []


# A task that cannot score anything


def error_of(task, corpus) -> str:
    with pytest.raises(UnitBenchError) as caught:
        list(check_labels(task, corpus, folds(corpus)))
    return str(caught.value)


def test_a_column_that_no_slide_has_stops_before_training(tissue):
    assert error_of(Annotation("grade"), tissue) == (
        "task 'annotation': scores nothing in any fold: no slide labelled by 'grade' to learn from; "
        "add 'grade' to `keep` of the description, or drop the task"
    )


def test_slides_without_an_image_stop_a_task_of_images(tissue):
    assert "no labelled slide with an image to learn from" in error_of(LabelFromImage(), tissue)


def test_donors_without_a_common_label_stop(tissue, tmp_path):
    corpus = relabelled(tissue, tmp_path, lambda donor, old: f"{donor} {old}")
    assert "no label of the test slides is on a training slide" in error_of(Domain(), corpus)


def test_slides_of_one_label_stop_unless_they_are_scored_together(tissue, tmp_path):
    ones = relabelled(tissue, tmp_path / "one", lambda donor, old: "er+" if donor == "donor0" else "er-")
    reason = "no test slide has two labels with at least 10 spots each"
    assert [unscorable(Domain(), ones, fold) for fold in folds(ones)[1:]] == [reason, reason]
    together, _ = donor_folds(ones.table["group"].to_dict(), 2)  # donors 0 and 2 are tested together
    assert unscorable(Domain(), ones, together) == unscorable(Domain(), ones, everything(ones.names)) == ""


def test_one_fold_that_can_be_scored_is_enough(tissue, tmp_path):
    corpus = relabelled(tissue, tmp_path, lambda donor, old: "same" if donor == "donor0" else old)
    assert [bool(unscorable(Domain(), corpus, fold)) for fold in folds(corpus)] == [True, False, False]
    assert any("'same'" in line for line in check_labels(Domain(), corpus, folds(corpus)))

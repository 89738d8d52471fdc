"""Names and labels: what is refused, and that a corpus writes nothing outside its folder."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.errors import UnitBenchError
from benchmark.data.labels import clean
from benchmark.data.names import check_donor, check_slide_name, check_twins, is_missing
from benchmark.data.prepare import write_corpus
from tests.data.test_corpus import a_slide


@pytest.mark.parametrize("name", ["../../escaped", "/etc/x", "a/b", "a\\b", "pooled", "File", "ALL", "con", "NUL.1",
    "a:b", "", " a", "a ", ".hidden", "a.", "a\nb", "a\x00b", "x" * 201, "\udcff", "com1"])  # fmt: skip
def test_a_name_that_cannot_be_a_file_everywhere_writes_nothing(name, tmp_path):
    with pytest.raises(UnitBenchError, match=r"the slide's name .*; rename the slide") as caught:
        write_corpus([a_slide("good", "ab"), a_slide(name, "ab")], tmp_path / "corpus", {})
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["corpus"]


@pytest.mark.parametrize("name", ["151673", "tumour 1", "Gewebe-Ä", "組織_2", "a+b (2)", "s.1", "console"])
def test_blanks_and_letters_of_any_language_serve(name, tmp_path):
    corpus = write_corpus([a_slide(name, "ab")], tmp_path, {})
    assert corpus.names == (name,) and corpus[name].n_obs == 3


@given(st.text(max_size=20))
def test_a_name_that_passes_stays_in_its_folder(name):
    try:
        check_slide_name(name, "here")
    except UnitBenchError as error:
        assert "\n" not in str(error)
        return
    assert not set(name) & set("/\\\0") and name not in ("", ".", "..") and name.strip() == name
    name.encode()


def test_two_slides_or_donors_that_differ_in_case_alone_are_refused(tmp_path):
    with pytest.raises(UnitBenchError, match="slide 'ONE': differs from slide 'one' in case alone; rename one slide"):
        write_corpus([a_slide("one", "ab"), a_slide("ONE", "ab")], tmp_path, {})
    with pytest.raises(UnitBenchError, match="donor 'd1': differs from donor 'D1'"):
        write_corpus([a_slide("one", "ab"), a_slide("two", "ab", "d1")], tmp_path, {})
    check_twins(["a", "b", "a"], "donor")
    with pytest.raises(UnitBenchError):
        check_twins(["e\u0301", "\u00c9"], "slide")  # é written in two ways
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize("name", ["nan", "None", "", " ", "NA", "<NA>"])
def test_a_missing_donor_is_refused(name):
    with pytest.raises(UnitBenchError, match="one: the donor is missing"):
        check_donor(name, "one", "donor")


@pytest.mark.parametrize("value", [None, np.nan, pd.NA, pd.NaT, "", "n/a", "Null", " nan "])
def test_what_means_missing(value):
    assert is_missing(value)


@given(st.lists(st.none() | st.floats(allow_infinity=False) | st.integers(-5, 5) | st.text(max_size=4), min_size=1))
def test_cleaned_labels_are_text_without_blanks_and_each_is_used(values):
    labels = clean(pd.Series(values, dtype=object))
    assert len(labels) == len(values) and set(labels.codes) - {-1} == set(range(len(labels.categories)))
    for name in labels.categories:
        assert isinstance(name, str) and name == name.strip() and not is_missing(name)
    again = clean(labels)
    assert again.codes.tolist() == labels.codes.tolist() and again.categories.equals(labels.categories)


def test_labels_worked_by_hand():
    given = pd.Series([1.0, 1, "1", " L1", b"L1", None, "NA", "unsure", 2.5], dtype=object)
    assert [name if isinstance(name, str) else None for name in clean(given, ["unsure"])] == [
        "1", "1", "1", "L1", "L1", None, None, None, "2.5"
    ]  # fmt: skip


@pytest.mark.parametrize(("label", "remedy"), [("nan", "leave it missing"), (" x", "give text without blanks")])
def test_a_reader_that_gives_a_phantom_label_is_told(label, remedy, tmp_path):
    slide = a_slide("one", "ab")
    slide.obs["label"] = pd.Categorical(["x", label, "y"])
    with pytest.raises(UnitBenchError, match=f"slide one: the label {label!r} is no label; {remedy}"):
        write_corpus([slide], tmp_path, {})


def test_a_category_without_spots_is_not_written(tmp_path):
    slide = a_slide("one", "ab")
    slide.obs["label"] = slide.obs["label"].cat.add_categories(["ghost"])
    assert write_corpus([slide], tmp_path, {})["one"].obs["label"].cat.categories.tolist() == ["x", "y"]

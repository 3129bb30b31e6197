"""Tables as anybody saves them, and what their columns are."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentshape.data.annotations import (
    EMPTY,
    as_attributes,
    name_classes,
    read_table,
    sort_facts,
)
from latentshape.data.trees import Tree
from latentshape.errors import InputError


class Memory(Tree):
    """One file that is not on disk."""

    def __init__(self, content):
        self.content = content

    def _list(self):
        yield "table.csv"

    def read(self, name):
        return self.content

    def path(self, name):
        return name

    def stamps(self, names):
        return iter(())


def table(content, **options):
    return read_table(Memory(content), "table.csv", **options)


# --- any table is read back -----------------------------------------------------------------------

words = st.text("abcXYZ0189äß笑_.-+ '", min_size=1, max_size=8).map(str.strip).filter(bool)
cells = st.one_of(words, st.text('ab,;\t" \u2028', max_size=6).map(str.strip), st.just(""))
stems = st.text("abc019_ ,'/", min_size=1, max_size=6).map(str.strip).filter(bool)
names = st.builds(str.__add__, stems, st.sampled_from([".jpg", ".PNG", ".webp"]))
endings = st.sampled_from(["\n", "\r\n"])
saved = st.sampled_from([("", "utf-8"), ("", "utf-8-sig"), ("", "utf-16"), ("\ufeff", "utf-16-be")])


def as_saved(text, how):
    start, code = how
    return (start + text).encode(code)


@st.composite
def tables(draw):
    width = draw(st.integers(1, 4))
    header = draw(st.lists(words, min_size=width, max_size=width, unique=True))
    keys = draw(st.lists(names, min_size=1, max_size=5, unique=True))
    return header, {k: draw(st.lists(cells, min_size=width, max_size=width)) for k in keys}


@given(
    tables(),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    endings,
    saved,
    st.sampled_from(["image_id", "image", "", "file"]),
)
@settings(max_examples=300, deadline=None)
def test_any_table_with_separators_is_read_back(facts, separator, quoting, ending, how, corner):
    header, rows = facts
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=ending)
    writer.writerow([corner, *header])
    writer.writerows([key, *row] for key, row in rows.items())
    found = table(as_saved(text.getvalue(), how), headed=True)
    assert found.header == tuple(header)
    columns = found.columns(list(rows))
    assert columns == {name: [row[i] for row in rows.values()] for i, name in enumerate(header)}


plain = st.text("abcXYZ019_-.", min_size=1, max_size=8)


@given(
    st.lists(plain.filter(lambda w: not w.isdigit()), min_size=1, max_size=4, unique=True),
    st.lists(plain.map("{}.jpg".format), min_size=1, max_size=5, unique=True),
    st.data(),
    st.booleans(),
    st.booleans(),
    endings,
    saved,
)
@settings(max_examples=200, deadline=None)
def test_any_table_of_blanks_is_read_back(header, keys, data, count, corner, ending, how):
    """The original's: a count or none, as many blanks as you like, the corner named or not."""
    width = len(header)
    rows = {key: data.draw(st.lists(plain, min_size=width, max_size=width)) for key in keys}
    blanks = st.integers(1, 3).map(" ".__mul__)
    lines = [str(len(keys))] * count
    lines.append(data.draw(blanks).join(["image_id"] * corner + header) + " ")
    lines += [key + data.draw(blanks) + data.draw(blanks).join(row) for key, row in rows.items()]
    found = table(as_saved(ending.join(lines), how))
    assert found.header == tuple(header)
    assert {key: found.cells(key) for key in found.rows} == rows


def test_a_headless_list_has_rows_alone():
    found = table(b"1.jpg 0\n2.jpg 1\n")
    assert found.header == ()
    assert found.rows == {"1.jpg": "0", "2.jpg": "1"}


def test_names_match_without_their_suffix_but_not_against_their_meaning():
    found = table(b"image,x\na.jpg,1\nv1.2,3\n", headed=True)
    assert found.match(["a.png", "a.jpg", "v1.2", "v1.3"]) == ["a.jpg", "a.jpg", "v1.2", None]
    with pytest.raises(
        InputError, match=r"none of its 2 rows .* called 'b.png' \.\.\., the rows 'a"
    ):
        found.match(["b.png"])
    assert found.match([]) == []


def test_a_column_that_comes_twice_is_refused():
    with pytest.raises(InputError, match=r"'x' is given twice. Rename one"):
        table(b"image,x,y,x\na.jpg,1,2,3\n")


# --- what a column is -----------------------------------------------------------------------------

SPELLINGS = [("1", "-1"), ("1", "0"), ("1.0", "0.0"), ("True", "False"), ("YES", "no"), (1, -1),
             (1, 0), (True, False), (1.0, -1.0)]  # fmt: skip


@pytest.mark.parametrize(("yes", "no"), SPELLINGS)
@given(st.lists(st.sampled_from([1, -1, 0]), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_answers_are_read_in_any_spelling(yes, no, answers):
    values = [{1: yes, -1: no, 0: None}[answer] for answer in answers]
    assert as_attributes(values).tolist() == answers
    if 0 not in answers:
        assert as_attributes(np.array(values)).tolist() == answers


@pytest.mark.parametrize("array", [list, np.array])
def test_an_answer_that_is_none_is_named(array):
    with pytest.raises(ValueError, match=r"^(2|2\.0)$"):
        as_attributes(array([1, -1, 2]))
    with pytest.raises(ValueError, match=r"^maybe$"):
        as_attributes(["yes", " Maybe "])


def test_zero_means_no_unless_the_company_says_minus_one():
    alone = sort_facts({"a": ["0", "1"], "b": ["0", "0"]}, "t")
    assert alone.attributes.tolist() == [[-1, -1], [1, -1]]
    company = sort_facts({"a": ["0", "1"], "b": ["-1", "1"]}, "t")
    assert company.attributes.tolist() == [[0, -1], [1, 1]]
    words_ = sort_facts({"a": ["0", "1"], "b": ["no", "yes"]}, "t")
    assert words_.attributes.tolist() == [[-1, -1], [1, 1]]


@given(st.permutations(["Odd", "age", "split", "identity", "label", "hair", "caption", "void"]))
@settings(max_examples=20, deadline=None)
def test_sorting_does_not_depend_on_the_order_of_columns(order):
    n = 12
    columns = {
        "Odd": [str(i % 2) for i in range(n)],
        "age": [str(i + 0.5) if i else "" for i in range(n)],
        "split": [("train", "valid", "", "test")[i % 4] for i in range(n)],
        "identity": [str(100 + i // 2) if i else "" for i in range(n)],
        "label": [("cat", "Dog")[i % 2] for i in range(n)],
        "hair": [("red", "", "blue")[i % 3] for i in range(n)],
        "caption": [f"sentence {i}" for i in range(n)],
        "void": ["", "NaN", "none"] * 4,
    }
    facts = sort_facts({name: columns[name] for name in order}, "t")
    answers = dict(zip(facts.attribute_names, facts.attributes.T.tolist()))
    odd = [1 if i % 2 else -1 for i in range(n)]
    assert answers == {
        "Odd": odd,
        "Dog": odd,
        "cat": [-a for a in odd],
        "hair_red": [(1, 0, -1)[i % 3] for i in range(n)],
        "hair_blue": [(-1, 0, 1)[i % 3] for i in range(n)],
    }
    assert facts.split.tolist() == [(0, 1, -1, 2)[i % 4] for i in range(n)]
    assert facts.columns["identity"].tolist() == [-1, *(100 + i // 2 for i in range(1, n))]
    assert facts.columns["label"].tolist() == [i % 2 for i in range(n)]
    assert facts.columns["hair"].tolist() == [(1, -1, 0)[i % 3] for i in range(n)]
    assert np.isnan(facts.columns["age"][0])
    assert facts.columns["age"][1:].tolist() == [i + 0.5 for i in range(1, n)]
    assert set(facts.columns) == {"identity", "label", "hair", "age"}
    assert sorted(facts.notices) == [
        "column 'caption' of t holds text and is left out",
        "column 'void' of t is empty and left out",
    ]


@given(st.lists(st.one_of(st.none(), st.integers(-1, 30)), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_numbers_and_their_spelling_are_the_same_facts(numbers):
    """Parquet holds numbers, and NaN for what is missing; CSV holds text, and nothing for it."""
    array = np.array([np.nan if n is None else n for n in numbers])
    text = ["" if n is None else str(n) for n in numbers]
    for name in ("identity", "label"):
        one, other = (sort_facts({name: v}, "t").columns[name] for v in (array, text))
        assert one.tolist() == other.tolist() == [-1 if n is None else n for n in numbers]
    splits = np.where(array >= 0, array % 3, np.nan)
    found = sort_facts({"split": splits}, "t").split
    assert found.tolist() == [-1 if s != s else int(s) for s in splits]


@pytest.mark.parametrize("column", ["identity", "label", "hair", "age"])
@pytest.mark.parametrize("huge", ["1e30", "99999999999999999999", "1e999", "-1e30", "inf", "1e39"])
def test_numbers_beyond_all_measure_are_no_traceback(column, huge):
    facts = sort_facts({column: [huge, "1", "2", huge]}, "t")
    found = facts.columns[column]
    assert found[0] == found[3]
    assert len({*found.tolist()}) == 3


def test_great_numbers_of_people_are_told_apart():
    """2**53 + 1 is no float."""
    values = [str(2**53), f"{2**53 + 1}.0", "1e16", "7.00"]
    found = sort_facts({"identity": values}, "t").columns["identity"]
    assert found.tolist() == [2**53, 2**53 + 1, 10**16, 7]


@pytest.mark.parametrize("values", [["train", "holdout"], [0, 3], [True, False], ["0", "-2"]])
def test_a_strange_split_is_named(values):
    with pytest.raises(InputError, match=r"^t: expected 0, 1, 2 or train.*'part.*found '.*rename"):
        sort_facts({"partition": values}, "t")


@given(st.lists(st.sampled_from(["cat", "Dog ", "emu", *sorted(EMPTY)]), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_classes_are_one_hot(values):
    classes, hot, number = name_classes(values)
    known = [v.strip() not in EMPTY for v in values]
    assert classes == sorted({v.strip() for v, k in zip(values, known) if k}, key=str.lower)
    assert ((hot == 1).sum(axis=1) == known).all()
    assert (hot[np.logical_not(known)] == 0).all()
    for value, code in zip(values, number.tolist()):
        assert (classes[code] == value.strip()) if code >= 0 else (value.strip() in EMPTY)


def test_very_many_classes_are_numbers_alone():
    classes, hot, number = name_classes([f"c{i:03d}" for i in range(101)])
    assert classes == []
    assert hot.shape == (101, 0)
    assert number.tolist() == list(range(101))

"""Conditions: the grammar, what holds of what is known, and what cannot be asked."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentshape.conditions import DEEPEST, LONGEST, MOST_QUESTIONS, parse_condition
from latentshape.errors import InputError
from latentshape.facts import Facts, annotations_of, short_names

NAMES = ("Smiling", "Male", "5_o_Clock_Shadow", "with space", "it's")


def quoted(name):
    return f'"{name}"' if " " in name or "'" in name else name


def expressions():
    """Python's own expressions of the same meaning, beside the text of the condition."""
    leaf = st.one_of(
        st.sampled_from(NAMES).map(lambda n: (quoted(n), lambda v, n=n: v[n] > 0.5)),
        st.tuples(st.sampled_from(("<", "<=", ">", ">=")), st.sampled_from((-1.5, 0.0, 0.25, 1e-3))).map(
            lambda t: (f"age{t[0]} {t[1]}", lambda v, t=t: compared(v["age"], *t))
        ),
    )  # fmt: skip

    def grown(inner):
        return st.one_of(
            inner.map(lambda e: (f"~({e[0]})", lambda v, e=e: ~e[1](v))),
            st.tuples(inner, inner).map(
                lambda p: (f"({p[0][0]}) & ({p[1][0]})", lambda v, p=p: p[0][1](v) & p[1][1](v))
            ),
            st.tuples(inner, inner).map(
                lambda p: (f"({p[0][0]}) | ({p[1][0]})", lambda v, p=p: p[0][1](v) | p[1][1](v))
            ),
        )

    return st.recursive(leaf, grown, max_leaves=8)


def compared(values, comparison, number):
    return {
        "<": values < number, "<=": values <= number, ">": values > number, ">=": values >= number
    }[comparison]  # fmt: skip


def every_case():
    """Every combination of answers, with ages at, below and above every number that is compared."""
    ages = (-2.0, -1.5, -1.0, 0.0, 5e-4, 1e-3, 0.1, 0.25, 9.0)
    table = np.array(list(itertools.product((0.0, 1.0), repeat=len(NAMES))))
    rows = [(*row, age) for row in table for age in ages]
    return dict(zip((*NAMES, "age"), np.array(rows).T, strict=True))


EVERY_CASE = every_case()


@settings(max_examples=150, deadline=None)
@given(expressions())
def test_a_condition_holds_where_python_says_so(expression):
    text, meaning = expression
    wanted = meaning(EVERY_CASE)
    if wanted.all() or not wanted.any():
        with pytest.raises(InputError, match=r"contradicts itself|asks for nothing"):
            parse_condition(text)
        return
    condition = parse_condition(text)
    yes, no = condition.truth(EVERY_CASE)
    assert np.array_equal(yes, wanted)
    assert np.array_equal(no, ~wanted)
    again = parse_condition(str(condition))
    assert np.array_equal(again.truth(EVERY_CASE)[0], wanted)
    # Each case lies in just one cell if the condition holds, and in none if it does not.
    inside = np.zeros(len(wanted), int)
    for cell in condition.cells():
        fits = np.ones(len(wanted), bool)
        for question, answer in cell.items():
            fits &= question.truth(EVERY_CASE[question.name])[0] == answer
        inside += fits
    assert np.array_equal(inside, wanted.astype(int))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab5 &|~()<>=.\"'-\t", max_size=30) | st.text(max_size=20))
def test_any_text_is_a_condition_or_a_sentence(text):
    said = ""
    try:
        condition = parse_condition(text)
    except InputError as error:
        said = str(error)
    else:
        assert parse_condition(str(condition)).names == condition.names
    assert not said or said.endswith(".")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("a &", "after '&', but it ends"),
        ("a b", "expected '&', '|' or the end after 'a', but got 'b'"),
        ("(a", "expected ')'"),
        ("a)", "but got ')'"),
        ("a && b", "got '&'"),
        ("> 1", "got '>'"),
        ("a > b", "a number to compare 'a' with"),
        ("a > nan", "a number to compare 'a' with"),
        ("a >", "but it ends"),
        ("'a & b", "quotation mark"),
        ("'' & b", "empty name"),
        ("a & ~a", "contradicts itself"),
        ("a > 1 & a < 0.5", "contradicts itself"),
        ("a < 1 & a >= 1", "contradicts itself"),
        ("a | ~a", "asks for nothing"),
        ("a < 1 | a > 0", "asks for nothing"),
        ("(" * (DEEPEST + 1) + "a" + ")" * (DEEPEST + 1), "parentheses"),
        (" & ".join(f"a{i}" for i in range(MOST_QUESTIONS + 1)), "different questions"),
        ("a" * (LONGEST + 1), "signs at most"),
    ],
)
def test_what_is_no_condition_is_refused_in_a_sentence(text, said):
    with pytest.raises(InputError) as refusal:
        parse_condition(text)
    assert said in str(refusal.value)


def test_and_binds_closer_than_or_and_not_closest():
    condition = parse_condition("~a & b | c")
    known = {"a": [1, 0, 1], "b": [1, 1, 0], "c": [0, 0, 1]}
    assert condition.truth(known)[0].tolist() == [False, True, True]


def test_the_limits_are_within_reach():
    parse_condition("(" * DEEPEST + "a" + ")" * DEEPEST)
    parse_condition("~" * 501 + "a")
    assert len(parse_condition(" | ".join(f"a{i}" for i in range(MOST_QUESTIONS))).cells()) == (
        2**MOST_QUESTIONS - 1
    )


def test_the_unknown_counts_only_where_it_matters():
    """Kleene's tables: what is surely so stays so, whatever the unknown turns out to be."""
    nan = np.nan
    known = {"a": [1, 1, 0, nan], "b": [nan, 1, nan, nan]}
    yes, no = parse_condition("a & b").truth(known)
    assert (yes.tolist(), no.tolist()) == ([False, True, False, False], [False, False, True, False])
    yes, no = parse_condition("a | b").truth(known)
    assert (yes.tolist(), no.tolist()) == ([True, True, False, False], [False] * 4)


# --- facts ------------------------------------------------------------------------------------------


def annotated(n=6):
    answers = np.array([[1, -1, 1], [-1, -1, 0], [1, -1, 0], [0, -1, 0], [1, -1, 0], [-1, -1, 0]])
    return SimpleNamespace(
        attributes=answers[:n].astype(np.int8), attribute_names=("Male", "Bald", "Hat"),
        columns={
            "identity": np.arange(n), "age": np.linspace(0.0, 1.0, n).astype(np.float32),
            "worn": np.array([0.0, 1.0, 1.0, 0.0, 1.0, np.nan])[:n], "landmarks": np.zeros((n, 5, 2)),
        },
    )  # fmt: skip


def test_facts_are_what_a_dataset_knows():
    facts = Facts.of(annotated())
    assert facts.names == ("Male", "Bald", "Hat", "age", "worn")
    assert facts.answers.tolist() == [True, True, True, False, True]
    assert np.array_equal(facts["Male"], [1, 0, 1, np.nan, 1, 0], equal_nan=True)
    assert facts.varying() == ("Male", "age", "worn")
    assert facts.columns(["worn", "Male"]).shape == (6, 2)
    answers = [name for name, _, is_answer in annotations_of(annotated()) if is_answer]
    assert answers == ["Male", "Bald", "Hat"]


def test_factors_are_called_by_their_own_names():
    from latentshape.data.faces import FACTORS

    factors = np.random.default_rng(0).random((9, len(FACTORS)))
    source = SimpleNamespace(attributes=None, attribute_names=(), columns={"factors": factors})
    assert Facts.of(source).names == tuple(factor.name for factor in FACTORS)
    source.columns["factors"] = np.zeros((9, 2))
    assert Facts.of(source).names == ("factor:0", "factor:1")
    assert short_names(["yaw", "factor:yaw"]) == ("yaw", "factor:yaw")


def test_shuffled_facts_are_the_same_facts_of_other_images():
    facts = Facts.of(annotated())
    other = facts.shuffled(1)
    assert not np.array_equal(other["age"], facts["age"])
    assert sorted(map(str, other.values.tolist())) == sorted(map(str, facts.values.tolist()))
    assert len(facts.joined(other)) == 12
    with pytest.raises(InputError, match="from one dataset"):
        facts.joined(Facts(("a",), np.zeros((1, 1)), np.array([True])))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Mael", "did you mean 'Male'"),
        ("Male > 0.5", "is yes or no and cannot be compared"),
        ("age", "is a number from 0 to 1; compare it, such as 'age > 0.5'"),
        ("age > 3", "'age <= 3.0' holds for all 6 training images, where 'age' goes from 0 to 1"),
        ("age >= 0", "'age >= 0.0' holds for all 6 training images"),
        ("Bald", "is no for all 6 training images"),
        ("Male & ~Hat", "is yes for all 1 training images"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(text, said):
    with pytest.raises(InputError) as refusal:
        Facts.of(annotated()).check(parse_condition(text))
    assert said in str(refusal.value)


def test_what_can_be_asked_is_not_refused():
    facts = Facts.of(annotated())
    condition = parse_condition("Male & age > 0.1 | worn & ~Male")
    facts.check(condition)
    assert facts.satisfying(condition).tolist() == [False, True, True, False, True, False]


def test_without_attributes_that_is_said():
    nothing = Facts.of(SimpleNamespace(attributes=None, attribute_names=(), columns={}))
    with pytest.raises(InputError, match="no attributes and no numbers"):
        nothing.check(parse_condition("Male"))

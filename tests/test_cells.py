"""Grids: every way to write one means what it says, and whatever is no grid is refused in a sentence."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentshape.config import Config, field_sections, make_config
from latentshape.errors import InputError
from latentshape.experiments.cells import (
    LONGEST,
    Cell,
    Grid,
    cell_name,
    grid_of,
    make_cells,
    read_grid,
    said,
)

SAFE = re.compile(r"[A-Za-z0-9=.+_-]+")


def names(made):
    return [cell.name for cell in made]


def write(tmp_path, text, suffix=".toml"):
    path = tmp_path / f"grid{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("word", "field", "values"),
    [
        ("latent_dim=16,64", "latent_dim", [16, 64]),
        (" latent-dim = 16 , 64 ", "latent_dim", [16, 64]),
        ("latent_dim=16;64", "latent_dim", [16, 64]),
        ("batch_norm=no,YES,0,on", "batch_norm", [False, True, False, True]),
        ("learning_rate=1e-3,.5", "learning_rate", [1e-3, 0.5]),
        ("filters=32,64", "filters", [(32, 64)]),
        ("filters=32,64;8", "filters", [(32, 64), (8,)]),
        ("model=cae,vae", "model", ["cae", "vae"]),
        ("data=faces:law=uniform,n=40;faces:n=40", "data", ["faces:law=uniform,n=40", "faces:n=40"]),
        ("samplers=gaussian,mixture;gaussian", "samplers", ["gaussian,mixture", "gaussian"]),
        ("data=/photos/a.json", "data", ["/photos/a.json"]),
    ],
)  # fmt: skip
def test_a_word_gives_the_values_that_it_lists(word, field, values):
    assert grid_of([word]).grid == {field: values}


def test_every_combination_is_a_cell_in_the_grids_order():
    made = make_cells(grid_of(["latent_dim=4,8", "batch_norm=no,yes", "seed=0,1"]))
    assert names(made) == [
        f"latent-dim={d}_batch-norm={b}_seed={s}" for d in (4, 8) for b in ("no", "yes") for s in (0, 1)
    ]  # fmt: skip
    assert [(c.config.model.latent_dim, c.config.model.batch_norm, c.config.training.seed) for c in made] == [
        (d, b, s) for d in (4, 8) for b in (False, True) for s in (0, 1)
    ]  # fmt: skip
    assert made[5].varied == {"latent_dim": 8, "batch_norm": False, "seed": 1}


def test_words_toml_and_json_mean_the_same_cells(tmp_path):
    toml = write(
        tmp_path, 'preset = "mnist"\n[grid]\nlatent-dim = [4, 8]\nfilters = [[8, 16], [4]]\n'
    )
    as_json = write(
        tmp_path,
        json.dumps({"preset": "mnist", "grid": {"latent_dim": [4, 8], "filters": [[8, 16], [4]]}}),
        ".json",
    )  # fmt: skip
    by_words = make_cells(grid_of(["latent_dim=4,8", "filters=8,16;4"]), preset="mnist")
    assert make_cells(grid_of([str(toml)])) == make_cells(grid_of([str(as_json)])) == by_words
    assert {cell.config.preset for cell in by_words} == {"mnist"}


def test_a_list_goes_with_every_combination_of_the_grid(tmp_path):
    path = write(
        tmp_path,
        "[options]\nepochs = 3\n[grid]\nseed = [0, 1]\n"
        '[[list]]\nmodel = "cae"\n[[list]]\nmodel = "vae"\nbeta = 0.1\n',
    )
    made = make_cells(read_grid(path), options={"batch_size": 32, "size": None})
    assert [cell.varied for cell in made] == [
        {"model": "cae", "seed": 0}, {"model": "cae", "seed": 1},
        {"model": "vae", "beta": 0.1, "seed": 0}, {"model": "vae", "beta": 0.1, "seed": 1},
    ]  # fmt: skip
    for cell in made:
        assert cell.config == make_config(epochs=3, batch_size=32, **cell.varied)


def test_what_is_given_beside_the_grid_comes_before_its_own(tmp_path):
    path = write(tmp_path, 'preset = "mnist"\n[options]\nepochs = 3\n[grid]\nlatent_dim = [4, 8]\n')
    made = make_cells(read_grid(path), preset="faces-64", options={"epochs": 5})
    assert {cell.config.preset for cell in made} == {"faces-64"}
    assert {cell.config.training.epochs for cell in made} == {5}


def test_varied_values_are_the_configs():
    made = make_cells(Grid({"learning_rate": [1, 2], "filters": [8]}))
    assert [cell.varied for cell in made] == [
        {"learning_rate": 1.0, "filters": [8]}, {"learning_rate": 2.0, "filters": [8]}
    ]  # fmt: skip


VALUES = st.one_of(
    st.booleans(), st.integers(-(10**6), 10**6), st.floats(allow_nan=False), st.text(),
    st.lists(st.integers(0, 999), max_size=30),
)  # fmt: skip
OPTIONS = st.dictionaries(st.sampled_from(sorted(field_sections())), VALUES, min_size=1, max_size=5)


@given(varied=OPTIONS)
def test_a_name_is_safe_on_every_file_system(varied):
    name = cell_name(varied)
    assert SAFE.fullmatch(name)
    assert len(name) <= LONGEST
    assert name[0] not in ".-"
    assert cell_name(varied) == name


@given(
    field=st.sampled_from(sorted(field_sections())),
    pair=st.tuples(st.text() | st.floats(allow_nan=False), st.text() | st.floats(allow_nan=False)),
)
def test_no_two_values_share_a_name_even_where_case_is_not_told_apart(field, pair):
    one, other = (cell_name({field: value}).lower() for value in pair)
    assert (one == other) == (said(pair[0]) == said(pair[1]))


def test_values_that_differ_late_have_names_of_their_own():
    made = make_cells(Grid({"learning_rate": [0.001, 0.0010000001]}))
    assert names(made) == ["learning-rate=0.001", "learning-rate=0.0010000001"]
    made = make_cells(
        Grid({"data": ["faces:n=40", "FACES:n=40", "faces n=40", "\udce9", "x" * 300]})
    )
    assert len(set(names(made))) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs something to vary"),
        (["latent_dim"], "Expected FIELD=VALUE"),
        (["latent_dim="], "Expected FIELD=VALUE"),
        (["=3"], "has no field ''"),
        (["latent_dims=3"], "did you mean 'latent_dim'"),
        (["latnet-dim=3"], "did you mean 'latent_dim'"),
        (["preset=mnist"], "has no field 'preset'"),
        (["latent_dim=3", "latent-dim=4"], "latent_dim is given twice"),
        (["latent_dim=3,,4"], "latent_dim has an empty value"),
        (["filters=8;"], "filters has an empty value"),
        (["latent_dim=3,x"], "latent_dim takes a whole number, got 'x'"),
        (["latent_dim=3.5"], "latent_dim takes a whole number"),
        (["filters=8,x;4"], "filters takes whole numbers"),
        (["batch_norm=perhaps"], "batch_norm takes yes or no"),
        (["learning_rate=fast"], "learning_rate takes a number"),
        (["grid.toml", "seed=1"], "Expected FIELD=VALUE"),
        (["nowhere.toml"], "cannot be read: No such file"),
        (["\0.toml"], "not valid TOML"),
        (["latent_dim=" + "9" * 5000], "latent_dim takes a whole number"),
    ],
)  # fmt: skip
def test_words_that_are_no_grid_are_refused(words, message):
    with pytest.raises(InputError, match=re.escape(message)):
        grid_of(words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latent_dim = [1", "not valid TOML"),
        ("latent_dim = [1, 2]", "has a part 'latent_dim'"),
        ("[gird]\nlatent_dim = [1]", "did you mean 'grid'"),
        ("grid = 3", "'grid' in"),
        ("preset = 3", "'preset' in"),
        ("", "varies nothing"),
        ("[options]\nepochs = 3", "varies nothing"),
        ("[grid]\nlatent_dim = 3", "must be a list of values"),
        ("[grid]\nlatent_dim = []", "must be a list of values"),
        ("[grid]\nlatent_dims = [3]", "did you mean 'latent_dim'"),
        ("[grid]\nlatent_dim = [3]\nlatent-dim = [4]", "latent_dim is given twice"),
        ("list = [3]", "must hold tables of options"),
        ("list = [{}]", "must hold tables of options"),
        ("[options]\nepoch = 3\n[grid]\nseed = [1]", "did you mean 'epochs'"),
    ],
)
def test_files_that_are_no_grid_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read_grid(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "must hold the parts preset, options, grid, list"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"grid": {"latent_dim": [null, 16]}}', "latent_dim has an empty value"),
        ('{"grid": {"latent_dim": ["16"]}}', "a whole number for model.latent_dim"),
        ('{"grid": {"latent_dim": [true]}}', "a whole number for model.latent_dim"),
        ('{"grid": {"learning_rate": [NaN]}}', "a finite number for training.learning_rate"),
        ('{"grid": {"learning_rate": [1e999]}}', "a finite number for training.learning_rate"),
        ('{"grid": {"latent_dim": [16, 16.0]}}', "the same run"),
        ('{"grid": {"latent_dim": [1%s]}}' % ("0" * 400), "a whole number for model.latent_dim"),
        (
            '{"grid": {"learning_rate": [1%s]}}' % ("0" * 400),
            "a finite number for training.learning_rate",
        ),
    ],
)
def test_json_that_is_no_grid_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make_cells(read_grid(write(tmp_path, text, ".json")))


@pytest.mark.parametrize(
    ("grid", "options", "message"),
    [
        (Grid({}), {}, "varies nothing"),
        (Grid({}, [{}]), {}, "varies nothing"),
        (Grid({"latent_dim": []}), {}, "latent_dim has no values to try"),
        (Grid({"latent_dim": [4, 4]}), {}, "the same run, latent-dim=4 and latent-dim=4"),
        (Grid({"strides": [(2,), (2, 2)], "filters": [(4, 8)]}), {}, None),
        (Grid({"seed": [1]}, [{"seed": 2}]), {}, "seed stands both in the grid and in the list"),
        (Grid({"seed": [1]}), {"seed": 1}, "seed is both varied and fixed (to 1)"),
        (Grid({}, [{"model": "vae"}], options={"model": "cae"}), {}, "model is both varied and fixed"),
        (Grid({"latent_dim": [4, 0]}), {}, "latent_dim must be at least 1, got 0"),
        (Grid({"size": [32, 33]}), {}, "size 33 is not divisible"),
        (Grid({"model": ["vea"]}), {}, "model must be one of"),
        (Grid({"seed": [1]}, preset="faces"), {}, "Unknown preset 'faces'"),
        (Grid({"latent_dimension": [4]}), {}, "Unknown option 'latent_dimension'"),
        (Grid({"seed": range(200), "latent_dim": range(1, 200)}), {}, "This grid has 39,800 cells"),
        (Grid({}, [{"data": "x_seed=1"}, {"data": "x", "seed": 1}]), {}, "would be called data=x_seed=1"),
    ],
)  # fmt: skip
def test_a_grid_that_cannot_work_is_refused_before_anything_runs(grid, options, message):
    if message is None:  # different words for one network are different configs
        assert len(make_cells(grid, options=options)) == 2
        return
    with pytest.raises(InputError, match=re.escape(message)):
        make_cells(grid, options=options)


def test_a_refused_cell_stops_the_sweep_before_the_first_run(tmp_path, monkeypatch):
    from latentshape.experiments import sweep_record

    monkeypatch.setattr(sweep_record, "run_cells", lambda *a, **k: pytest.fail("something ran"))
    with pytest.raises(InputError, match="must be at least 1"):
        sweep_record.run_sweep(Grid({"latent_dim": [4, 0]}), tmp_path / "out")
    with pytest.raises(InputError, match="did you mean 'evaluate'"):
        sweep_record.run_sweep(Grid({"latent_dim": [4]}), tmp_path / "out", stages=["evalute"])
    assert not (tmp_path / "out").exists()


def made_or_refused(make):
    """What the grid makes, or nothing where it is refused; anything else that is raised is a defect."""
    try:
        made = make_cells(make())
    except InputError:
        return []
    assert made
    for cell in made:
        assert isinstance(cell, Cell)
        assert Config.from_dict(cell.config.to_dict()) == cell.config
        assert SAFE.fullmatch(cell.name)
    assert len(set(names(made))) == len(made)
    return made


WORD = st.one_of(
    st.text(max_size=30),
    st.builds(
        "{}={}".format,
        st.sampled_from([*field_sections(), "latent-dim", "x", ""]),
        st.text("0123456789,;.-+eEnaif yos\u0661\x00", max_size=12) | st.text(max_size=12),
    ),
)


@settings(max_examples=300)
@given(words=st.lists(WORD, max_size=3))
def test_whatever_words_are_given_the_answer_is_cells_or_a_sentence(words):
    made_or_refused(lambda: grid_of(words))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FIELD = st.sampled_from([*field_sections(), "latent-dim"]) | st.text(max_size=5)
GRIDS = st.fixed_dictionaries(
    {},
    optional={
        "grid": st.dictionaries(FIELD, st.lists(JSON, max_size=3) | JSON, max_size=2) | JSON,
        "list": st.lists(st.dictionaries(FIELD, JSON, max_size=2) | JSON, max_size=2) | JSON,
        "options": st.dictionaries(FIELD, JSON, max_size=2) | JSON,
        "preset": st.sampled_from(["mnist", "faces-64"]) | JSON,
    },
)


@settings(max_examples=300)
@given(content=GRIDS | JSON)
def test_whatever_a_json_file_holds_the_answer_is_cells_or_a_sentence(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    path.write_text(json.dumps(content))
    made_or_refused(lambda: read_grid(path))


@given(text=st.text(st.characters(codec="utf-8")) | st.text("[]{}=\"'.,\ngrid list1", max_size=30))
def test_whatever_a_toml_file_holds_the_answer_is_cells_or_a_sentence(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_text(text, encoding="utf-8")
    made_or_refused(lambda: read_grid(path))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "grid.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not valid TOML"):
        read_grid(tmp_path / "grid.toml")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match=r"cannot be read: Is a directory"):
        read_grid(tmp_path / "folder.json")


@pytest.mark.parametrize("name", field_sections())
def test_every_field_can_be_written_as_its_default(name):
    default = field_sections()[name][1].default
    text = said(default, ",")
    if text:
        first = grid_of([f"{name}={text};{text}"]).grid[name][0]
        assert first == default
        assert type(first) is type(default)

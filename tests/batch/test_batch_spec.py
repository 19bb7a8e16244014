"""The runs that a grid and a batch file ask for, and what they refuse before anything starts."""

import itertools
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "run"))
from toy import ToyConfig, notebook

from redistill.batch.batch_file import read_batch_file
from redistill.batch.spec import RunSpec, grid
from redistill.errors import ConfigError, RedistillError


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    """Work in the test's folder, with notebooks of the toy config in it."""
    monkeypatch.setattr("redistill.configs.CONFIGS", {"start": f"{ToyConfig.__module__}:ToyConfig"})
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        notebook(Path(f"{name}.ipynb"))
    return tmp_path


def change_cell(name, old, new):
    nb = nbformat.read(name, 4)
    assert old in nb.cells[1].source
    nb.cells[1].source = nb.cells[1].source.replace(old, new)
    nbformat.write(nb, name)


def test_a_grid_is_every_combination_in_order(at_home):
    fixed, axes = [("epochs", "9")], [("seed", ("0", "1")), ("mode", ("late", "early"))]
    specs = grid([Path("a.ipynb"), Path("b.ipynb")], fixed, axes, cell_timeout=5.0, budget=60.0)
    wanted = [
        (at_home / name, {"epochs": 9, "seed": seed, "mode": mode})
        for name, seed, mode in itertools.product(("a.ipynb", "b.ipynb"), (0, 1), ("late", "early"))
    ]
    assert [(spec.notebook, spec.given) for spec in specs] == wanted
    assert {(spec.cell_timeout, spec.budget) for spec in specs} == {(5.0, 60.0)}
    assert specs[2].config == ToyConfig(epochs=9, seed=1, mode="late", sizes=(8, 16), root=None)


def test_parameters_that_vary_together_and_lists_among_them():
    axes = [("seed,sizes", ("0,(1,2)", "1,[3]"))]
    given = [spec.given for spec in grid([Path("a.ipynb")], [], axes)]
    assert given == [{"seed": 0, "sizes": [1, 2]}, {"seed": 1, "sizes": [3]}]


def test_values_are_json_and_paths_as_typed():
    fixed = [("root", "some/clips"), ("shuffle", "no"), ("crop", "2,0.25"), ("seed", "none")]
    (spec,) = grid([Path("a.ipynb")], fixed, [])
    assert spec.given == {"root": "some/clips", "shuffle": False, "crop": [2, 0.25]}
    assert spec.config.root == Path("some/clips")
    assert spec.text() == "a root=some/clips shuffle=false crop=2,0.25"


def test_a_text_given_back_to_the_command_line_is_the_same_run():
    fixed = [("sizes", "4,5"), ("shuffle", "false"), ("temperature", "1e-2"), ("profile", "quick")]
    (spec,) = grid([Path("a.ipynb")], fixed, [])
    again = [tuple(each.split("=")) for each in spec.text().split()[1:]]
    assert grid([Path("a.ipynb")], again, []) == (spec,)


def test_what_the_notebook_itself_sets_counts_beneath_what_is_given():
    change_cell("a.ipynb", "epochs = None  ", "epochs = 77")
    change_cell("a.ipynb", "seed = None  ", "seed = 5")
    (spec,) = grid([Path("a.ipynb")], [("seed", "6")], [])
    assert spec.given == {"epochs": 77, "seed": 6}
    assert spec.config.epochs == 77


def broken(name):
    """Write the notebook of elsewhere called ``name``; return its path."""
    path = notebook(Path(f"{name}.ipynb"))
    nb = nbformat.read(path, 4)
    if name == "foreign":
        del nb.metadata["redistill"]
    elif name == "unknown":
        nb.metadata["redistill"] = {"config": "progresive"}
    elif name == "untagged":
        nb.cells[1].metadata["tags"] = []
    elif name == "lacking":
        nb.cells[1].source = nb.cells[1].source.replace("epochs = None", "# ")
    elif name == "other":
        nb.cells[1].source += "\nepoch = 3"
    elif name == "computing":
        nb.cells[1].source = nb.cells[1].source.replace("epochs = None", "epochs = open('x', 'w')")
    elif name == "magic":
        nb.cells[1].source = "%run other.py\n" + nb.cells[1].source
    nbformat.write(nb, path)
    return path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("foreign", "foreign.ipynb: the notebook names no config"),
        ("unknown", "'progresive'; there are start"),
        ("untagged", '0 code cells tagged "parameters"'),
        ("lacking", "lacks epochs of ToyConfig"),
        ("other", "sets 'epoch', which is no parameter of ToyConfig. Did you mean 'epochs'"),
        ("computing", "line 2: expected `name = value` with a plain value"),
        ("magic", "line 1: expected `name = value` with a plain value"),
    ],
)
def test_a_notebook_from_elsewhere_is_refused_and_not_executed(name, words):
    with pytest.raises(RedistillError, match=words.replace("(", r"\(").replace("?", r"\?")):
        grid([Path("a.ipynb"), broken(name)], [], [])
    assert not Path("x").exists()


@pytest.mark.parametrize(
    ("fixed", "axes", "words"),
    [
        ([("temprature", "2")], [], "b.ipynb: no parameter 'temprature'. Did you mean 'tempera"),
        ([("epochs", "0")], [], "b.ipynb: parameter epochs = 0: expected at least 1"),
        ([], [("epochs", ("3", "many"))], "epochs = 'many': expected int"),
        ([], [("seed", ())], "the axis 'seed' has no values"),
        ([], [("seed,epochs", ("1,2", "1"))], "'1': expected 2 values with commas"),
        ([("seed", "1")], [("seed", ("2",))], "seed is given twice"),
        ([], [("seed", ("1", "1"))], "the same run twice: b seed=1 and b seed=1"),
        ([], [("temperature", ("4", "4e0"))], "the same run twice"),
    ],
)
def test_bad_grids_are_refused(fixed, axes, words):
    with pytest.raises(ConfigError) as error:
        grid([Path("b.ipynb")], fixed, axes)
    assert words in str(error.value)


def test_no_notebook_an_absent_one_and_one_named_twice():
    with pytest.raises(ConfigError, match="a batch of no notebooks"):
        grid([], [], [])
    with pytest.raises(RedistillError, match=r"no notebook c.ipynb; there are a.ipynb, b.ipynb"):
        grid([Path("a.ipynb"), Path("c.ipynb")], [], [])
    with pytest.raises(ConfigError, match="the same run twice"):
        grid([Path("a.ipynb"), Path("./a.ipynb")], [], [])


def test_a_misspelt_parameter_is_found_before_anything_heavy_is_loaded():
    code = """if True:
        import sys
        from redistill import cli
        assert cli.main(["batch", sys.argv[1], "-p", "wrld", "crossed"]) == 2
        print({"nbformat", "torch", "papermill", "scipy", "IPython"} & set(sys.modules))"""
    path = Path(__file__).parents[2] / "notebooks" / "0_start_here.ipynb"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
    assert "0_start_here.ipynb: no parameter 'wrld'. Did you mean 'world'?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def batch_file(text, folder="."):
    path = Path(folder, "batch.toml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_asks_for_the_same_runs_as_a_command_line():
    path = batch_file("""
        [[runs]]
        notebooks = ["a.ipynb", "b.ipynb"]
        set = { shuffle = false, sizes = [1, 2], temperature = 2 }
        grid = { "seed,mode" = [[0, "late"], [1, "early"]], epochs = [5, 6] }
        budget = 60
        [[runs]]
        notebooks = ["b.ipynb"]
        grid = { sizes = [[1], [2, 3]] }
    """)
    first = grid(
        [Path("a.ipynb"), Path("b.ipynb")],
        [("shuffle", "false"), ("sizes", "1,2"), ("temperature", "2")],
        [("seed,mode", ("0,late", "1,early")), ("epochs", ("5", "6"))],
        budget=60,
    )
    assert read_batch_file(path) == first + grid([Path("b.ipynb")], [], [("sizes", ("1", "2,3"))])


def test_paths_in_a_file_are_meant_from_its_folder(at_home):
    Path("deep").mkdir()
    notebook(Path("deep/n.ipynb"))
    entry = '[[runs]]\nnotebooks = ["n.ipynb"]\n'
    (spec,) = read_batch_file(batch_file(entry + 'set = { root = "clips" }', "deep"))
    assert spec == RunSpec(notebook=at_home / "deep" / "n.ipynb", given={"root": "deep/clips"})
    (spec,) = read_batch_file(batch_file(entry + 'set = { root = "/data/clips" }', "deep"))
    assert spec.given == {"root": "/data/clips"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[runs]\nnotebooks = 3", "batch.toml cannot be read as a batch file (TOML): Expected"),
        ("", "batch.toml asks for no runs"),
        ("[runs]\nnotebooks = ['a.ipynb']", "asks for no runs"),
        ("runs = [3]", "table 1 of [[runs]] is 3; expected a table"),
        ("run = 3\n[[runs]]\nnotebooks = ['a.ipynb']", "'run' is no entry of a batch file"),
        ("[[runs]]\nnotebook = ['a.ipynb']", "no entry 'notebook'. Did you mean 'notebooks'?"),
        ("[[runs]]\nnotebooks = 'a.ipynb'", "notebooks = 'a.ipynb': expected a list"),
        ("[[runs]]\nnotebooks = []", "a batch of no notebooks"),
        ("[[runs]]\nset = { seed = 1 }", "a batch of no notebooks"),
        ("[[runs]]\nnotebooks = ['a.ipynb']\ngrid = { seed = 3 }", "seed = 3: expected a list"),
        ("[[runs]]\nnotebooks = ['a.ipynb']\ngrid = { seed = [] }", "'seed' has no values"),
        ("[[runs]]\nnotebooks = ['a.ipynb']\nset = { seed = 2020-01-01 }", "expected a text, a nu"),
        ("[[runs]]\nnotebooks = ['a.ipynb']\nset = { epoch = 2 }", "Did you mean 'epochs'"),
        ("[[runs]]\nnotebooks = ['a.ipynb']\nbudget = true", "budget = True: expected a number"),
        ("[[runs]]\nnotebooks = ['a.ipynb']\nbudget = 0", "budget = 0: expected more than 0 s"),
        ("[[runs]]\nnotebooks = ['a.ipynb']\n" * 2, "the same run twice"),
    ],
)
def test_bad_files_are_refused(text, words):
    with pytest.raises(ConfigError) as error:
        read_batch_file(batch_file(text))
    assert words in str(error.value)


def test_an_absent_file_is_named():
    with pytest.raises(ConfigError, match=r"none.toml cannot be read .*No such file"):
        read_batch_file(Path("none.toml"))

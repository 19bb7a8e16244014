"""``redistill batch`` from command line to exit code, and what ``redistill status`` adds."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import write_notebook

from redistill import cli
from redistill.batch import command
from redistill.batch.slots import Slot
from redistill.running.run_record import read_record

CELL = "from redistill.record import record\nrecord('doubled', 2 * (data_seed or 0))"


@pytest.fixture
def bench(tmp_path, monkeypatch, cache):
    """Work in the test's folder, with a notebook in it."""
    monkeypatch.chdir(tmp_path)
    write_notebook(Path("n.ipynb"), CELL)
    return tmp_path


def redistill(*arguments: object) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "redistill", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env=os.environ | {"COLUMNS": "99"})


def test_a_batch_runs_is_found_again_and_its_status_and_logs_are_told(bench):
    asked = ("batch", "n.ipynb", "-g", "data_seed", "1", "2", "--slots", "1")
    first = redistill(*asked)
    assert first.returncode == 0, first.stderr
    (folder,) = (bench / "reports" / "batches").glob("2*")
    assert first.stdout == f"runs there: 2; {folder}; {bench / 'reports' / 'index.html'}\n"
    runs = sorted(bench.glob("reports/n-*"))
    rows = sorted(read_record(run)["rows"][0]["value"] for run in runs)
    assert rows == [2, 4]
    times = [(run / "record.json").stat().st_mtime_ns for run in runs]

    again = redistill(*asked)
    assert again.returncode == 0, again.stderr
    assert again.stdout == f"runs there already: 2 of 2; {Path('reports/index.html')}\n"
    assert sorted(bench.glob("reports/n-*")) == runs
    assert [(run / "record.json").stat().st_mtime_ns for run in runs] == times
    assert len(list((bench / "reports" / "batches").glob("2*"))) == 1

    status = redistill("status").stdout
    assert f"{runs[0].name}  completed\n" in status
    assert f"batch {folder.name}  local" in status
    log = redistill("status", runs[0], "--log")
    assert log.returncode == 0, log.stderr
    assert log.stdout.startswith(f"{runs[0].name}  completed\n")
    written = [path.read_text() for path in folder.glob("*.log")]
    assert log.stdout.partition("\n")[2] in written

    plan = redistill(*asked[:3], "data_seed", "1", "2", "3", "--plan", "--slots", "1")
    assert plan.returncode == 0, plan.stderr
    assert "Plan, not run: of 3 runs 2 there, 1 to do" in plan.stdout
    assert re.search(r"^n data_seed=3  to do, new; \d+ s$", plan.stdout, re.MULTILINE)
    assert len(list((bench / "reports" / "batches").glob("2*"))) == 1


def test_a_run_that_fails_is_exit_code_1(bench):
    write_notebook(Path("n.ipynb"), CELL, "1 / (data_seed - 1)")
    done = redistill("batch", "n.ipynb", "-p", "data_seed", 1, "--slots", 1, "--quiet")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "1 of 1 runs did not complete" in done.stderr
    assert "n data_seed=1  failed" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr
    assert (bench / "reports" / "index.html").is_file()


@pytest.mark.usefixtures("bench")
def test_a_reader_that_stops_reading_gets_no_traceback():
    line = f"{sys.executable} -m redistill params n.ipynb | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.returncode, done.stderr) in [(141, ""), (0, "")]


def refused(capsys, *arguments):
    """Return the one line that the command line says to bad input."""
    assert cli.main(["batch", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert not Path("reports").exists()
    return err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "a batch of no notebooks"),
        (["m.ipynb"], "no notebook m.ipynb; there are n.ipynb"),
        (["n.ipynb", "-p", "world", "crosed"], "one of scene_led, crossed, motion_led"),
        (["n.ipynb", "-g", "dataseed", "1"], "no parameter 'dataseed'. Did you mean 'data_seed'?"),
        (["n.ipynb", "-g", "data_seed"], "the axis 'data_seed' has no values"),
        (["n.ipynb", "--budget", "0"], "budget = 0: expected more than 0 seconds"),
        (["n.ipynb", "--gpus", "2"], "--gpus is an option of --executor slurm"),
        (["n.ipynb", "--detach"], "--detach is an option of --executor slurm"),
        (["n.ipynb", "--executor", "slurm", "--per-gpu", "2"], "--per-gpu is an option of --exec"),
        (["n.ipynb", "--executor", "slurm", "--cpus", "0"], "cpus = 0 for Slurm"),
        (["n.ipynb", "--file", "b.toml"], "either by --file or as notebooks"),
        (["-g", "data_seed", "1", "--file", "b.toml"], "either by --file or as notebooks"),
        (["--file", "b.toml"], "b.toml cannot be read as a batch file"),
    ],
)
@pytest.mark.usefixtures("bench")
def test_bad_input_is_one_line_and_nothing_is_begun(capsys, arguments, words):
    assert words in refused(capsys, *arguments)


@pytest.mark.usefixtures("bench")
def test_a_notebook_from_elsewhere_is_not_executed(capsys):
    write_notebook(Path("e.ipynb"), "open('executed', 'w')", config=None)
    assert "e.ipynb: the notebook names no config" in refused(capsys, "n.ipynb", "e.ipynb")
    assert not list(Path().rglob("executed"))


@pytest.fixture
def handed_over(bench, monkeypatch):
    """Take what the command hands to the executors, instead of running anything."""
    taken = []
    monkeypatch.setattr("redistill.batch.slots.make_slots", lambda **how: taken.append(how) or [
        Slot(0, None)])  # fmt: skip
    for name in ("local.run_local", "slurm.run_slurm"):
        monkeypatch.setattr(
            f"redistill.batch.{name}", lambda *given, **more: taken.append((*given, more))
        )
    return taken


def test_options_reach_the_local_executor(handed_over, capsys):
    given = ("--slots", "3", "--per-gpu", "2", "--retries", "5", "--cell-timeout", "7", "--quiet")
    assert cli.main(["batch", "n.ipynb", "-p", "data_seed", "4", *given]) == 0
    slots, (batch, where, more) = handed_over
    assert slots == {"slots": 3, "per_gpu": 2, "threads": 1}
    assert more.pop("watch") is not None
    assert (where, more) == ([Slot(0, None)], {"retries": 5})
    (job,) = batch.jobs
    assert (job.spec.given, job.spec.cell_timeout, job.spec.budget) == ({"data_seed": 4}, 7, None)
    assert (batch.executor, batch.reports) == ("local", Path("reports").absolute())


def test_options_reach_slurm(handed_over, capsys):
    from redistill.batch.slurm import SlurmOptions

    given = ["--executor", "slurm", "--partition", "gpu", "--gpus", "1", "--cpus", "4"]
    given += ["--memory", "8", "--minutes", "30", "--parallel", "2", "--slurm", "account", "v"]
    assert cli.main(["batch", "n.ipynb", *given, "--detach"]) == 0
    ((batch, options, more),) = handed_over
    assert options == SlurmOptions(partition="gpu", gpus=1, cpus=4, memory_gib=8, minutes=30,
                                   parallel=2, extra={"account": "v"})  # fmt: skip
    assert more["detach"] is True
    assert batch.executor == "slurm"
    assert capsys.readouterr().out == ""
    assert cli.main(["batch", "n.ipynb", "--executor", "slurm"]) == 0
    assert handed_over[1][1] == SlurmOptions()


def test_a_file_is_a_batch_and_options_override_its_limits(handed_over):
    Path("b.toml").write_text(
        '[[runs]]\nnotebooks = ["n.ipynb"]\ngrid = { data_seed = [1, 2] }\nbudget = 60\n'
    )
    assert cli.main(["batch", "--file", "b.toml", "--budget", "90", "--reports", "r"]) == 0
    batch = handed_over[1][0]
    found = [(job.spec.given, job.spec.budget) for job in batch.jobs]
    assert found == [({"data_seed": 1}, 90), ({"data_seed": 2}, 90)]
    assert batch.reports == Path("r").absolute()
    kept = json.loads((batch.folder / "batch.json").read_text())
    assert [job["given"] for job in kept["jobs"]] == [{"data_seed": 1}, {"data_seed": 2}]


@pytest.mark.usefixtures("bench")
def test_a_log_is_of_one_run_of_a_batch(capsys):
    assert cli.main(["status", "--log"]) == 2
    assert "name its folder" in capsys.readouterr().err
    assert cli.main(["run", "n.ipynb", "--run-id", "alone", "--quiet"]) == 0
    capsys.readouterr()
    assert cli.main(["status", "reports/alone", "--log"]) == 2
    assert "was made by no batch" in capsys.readouterr().err


def test_help_names_every_option_and_loads_nothing_heavy():
    code = """if True:
        import sys, redistill.cli as c
        try: c.main(["batch", "--help"])
        except SystemExit: pass
        print(sorted({"torch", "numpy", "papermill", "nbformat", "submitit"} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("[]\n"), done.stderr
    for name in (*command._LOCAL, *command._SLURM, "plan", "executor", "file", "reports", "quiet"):
        assert f"--{name.replace('_', '-')}" in done.stdout

import subprocess
import sys
import time

import pytest
from toy import ToyConfig, notebook

from redistill.config_text import parameters_cell


def test_help_is_quick_and_loads_nothing_heavy():
    code = "import sys, redistill.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'numpy', 'papermill', 'nbformat', 'av'} & set(sys.modules)))"
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.monotonic() - begun < 2
    assert done.stdout.endswith("[]\n")
    for command in ("run", "params", "status", "report", "index", "prepare"):
        assert command in done.stdout


def test_a_run_prints_its_report_and_the_status_tells(launch, tmp_path):
    notebook(tmp_path / "n.ipynb", "assert epochs == 3 and root.endswith('/clips')")
    run = launch("run", "n.ipynb", "-p", "epochs", "3", "-p", "root", "clips", "--run-id", "one")
    out, err = run.communicate()
    assert run.returncode == 0, err
    assert out == f"{tmp_path}/reports/one/report.html\n"
    assert (tmp_path / "reports" / "index.html").exists()
    status = launch("status")
    assert status.communicate()[0] == "one  completed\n"


def test_a_misspelt_parameter_stops_at_once(launch, tmp_path):
    notebook(tmp_path / "n.ipynb")
    run = launch("run", "n.ipynb", "-p", "temprature", "2")
    out, err = run.communicate()
    assert run.returncode == 2
    assert out == ""
    assert err.startswith("redistill: no parameter 'temprature'. Did you mean 'temperature'?")
    assert "Traceback" not in err
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "n.ipynb", "-p", "epochs", "many"], "epochs = 'many': expected int"),
        (["run", "n.ipynb", "-p", "epochs", "-1"], "epochs = -1: expected at least 1"),
        (["run", "absent.ipynb"], "no notebook absent.ipynb; there are n.ipynb"),
        (["run", "n.ipynb", "--run-id", "../x"], "cannot name a file"),
        (["status", "nowhere"], "no run in nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(launch, tmp_path, arguments, words):
    notebook(tmp_path / "n.ipynb")
    done = launch(*arguments)
    _, err = done.communicate()
    assert done.returncode == 2
    assert words in err
    assert len(err.splitlines()) == 1


def test_an_error_in_the_notebook_is_exit_code_1(launch, tmp_path):
    notebook(tmp_path / "n.ipynb", "1 / 0")
    run = launch("run", "n.ipynb", "--quiet")
    _, err = run.communicate()
    assert run.returncode == 1
    assert "failed in cell 2: ZeroDivisionError: division by zero" in err
    assert "Traceback" not in err
    assert (tmp_path / "reports" / "index.html").exists()


def test_params_prints_the_table_or_the_cell(launch, tmp_path):
    notebook(tmp_path / "n.ipynb")
    table, cell = launch("params", "n.ipynb"), launch("params", "n.ipynb", "--cell")
    assert "softening of the logits" in table.communicate()[0]
    assert cell.communicate()[0] == parameters_cell(ToyConfig) + "\n"

"""Two runs of a toy notebook and two of the reference runs, and the bundle of them."""

import shutil
import sys
from pathlib import Path

import pytest

from redistill.evidence.choose import choose
from redistill.evidence.pack import write_bundle
from redistill.running.runner import run_notebook

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "tests" / "run"
sys.path.insert(0, str(TOY))
CELLS = (
    f"""import sys
sys.path.insert(0, {str(TOY)!r})
from toy import ToyConfig
from redistill.config import configure
config = configure(ToyConfig, globals())""",
    """import time
import pandas as pd
from matplotlib.figure import Figure
from redistill.files import cache_root
from redistill.record import note_data, record, show
note_data(manifest="abc", sealed_reads=1)
record("accuracy", 0.5 + config.seed / 64, unit="fraction", n=64, atol=1e-3, arm="kd")
record("clips", 64)
record("seconds", time.time(), free=True)
record("trained", (cache_root() / "phases").exists(), free=True)""",
    """show(Figure(figsize=(1, 1)), pd.DataFrame({"x": [1, 2], "y": [0.5, 0.25]}), name="line")""",
)


@pytest.fixture(scope="session")
def toy_notebooks(tmp_path_factory):
    """A folder that holds the toy's notebook."""
    from toy import notebook

    folder = tmp_path_factory.mktemp("notebooks")
    notebook(folder / "toy.ipynb", *CELLS)
    return folder


@pytest.fixture(scope="session")
def reports(tmp_path_factory, toy_notebooks):
    """A reports folder: two toy runs, and two reference runs one level down."""
    from toy import ToyConfig

    folder = tmp_path_factory.mktemp("runs") / "reports"
    for seed in (1, 2):
        run_notebook(
            toy_notebooks / "toy.ipynb",
            parameters={"seed": seed, "root": Path("clips"), "sizes": (4, 5)},
            reports=folder,
            run_id=f"toy-{seed}",
            config=ToyConfig,
            progress=False,
        )
    for name in ("d0-s0", "d1-s0"):
        source = ROOT / "reports" / "reference" / f"1-scene_led-{name}"
        shutil.copytree(source, folder / "reference" / source.name)
    return folder


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, reports):
    """The bundle of these runs."""
    path = tmp_path_factory.mktemp("bundle") / "evidence.zip"
    write_bundle(path, choose([], reports, everything=False, claims=())[0])
    return path

"""Python, packages, JupyterLab and torch: each as a broken installation would have it."""

import importlib
import json
from types import SimpleNamespace

import pytest

from redistill.doctor import software
from redistill.doctor.examine import Asked
from redistill.doctor.finding import FAIL, OK, WARN


@pytest.fixture
def versions(monkeypatch):
    """Changes what is installed: name to version, None for missing."""
    real = software.installed

    def change(**given):
        given = {name.replace("_", "-"): version for name, version in given.items()}
        monkeypatch.setattr(
            software, "installed", lambda n: given.get(n.replace("_", "-"), real(n)) if
            n.replace("_", "-") in given else real(n),
        )  # fmt: skip

    return change


def test_here_all_is_as_it_should_be():
    assert software.check_python(Asked()).state in (OK, WARN)
    assert software.check_packages(Asked()).state in (OK, WARN)
    assert software.check_jupyter(Asked()).state == OK
    assert software.check_torch(Asked()).state == OK


def test_an_old_python_fails(monkeypatch):
    monkeypatch.setattr(software.platform, "python_version", lambda: "3.10.4")
    found = software.check_python(Asked())
    assert found.state == FAIL
    assert "3.10.4" in found.found


@pytest.mark.parametrize(("system", "state"), [("Darwin", WARN), ("Windows", FAIL)])
def test_other_systems_are_told(monkeypatch, system, state):
    monkeypatch.setattr(software.platform, "system", lambda: system)
    assert software.check_python(Asked()).state == state


def test_a_missing_and_a_too_old_package_fail_and_an_unpinned_one_warns(versions):
    versions(av=None, torch="2.1.0")
    found = software.check_packages(Asked())
    assert found.state == FAIL
    assert "av is missing" in found.found
    assert "torch 2.1.0 (wanted >=2.11)" in found.found
    versions(torch="99.0.0+cu999")
    found = software.check_packages(Asked())
    assert found.state == WARN
    assert "torch 99.0.0+cu999 (pinned " in found.found


def test_a_build_tag_is_no_other_version(versions):
    pinned = software._pins()["torch"]
    versions(torch=f"{pinned}+cu130")
    assert "+cu130" not in software.check_packages(Asked()).found
    versions(torch="99.0.0+cu130")
    assert "+cu130" in software.check_packages(Asked()).found


def test_jupyter_without_papermill_or_without_its_front_end_fails(versions, monkeypatch):
    versions(papermill=None)
    found = software.check_jupyter(Asked())
    assert (found.state, "papermill" in found.found) == (FAIL, True)
    versions()
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *parts: ["/nowhere"])
    found = software.check_jupyter(Asked())
    assert found.state == FAIL
    assert "controls stay invisible" in found.found
    assert "jupyterlab_widgets" in found.todo


def test_the_front_end_is_found_where_jupyter_looks(tmp_path, monkeypatch):
    path = tmp_path / software._WIDGETS
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"version": "9.8.7"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert "widget extension 9.8.7" in software.check_jupyter(Asked()).found


def test_papermill_without_our_engine_warns(monkeypatch):
    monkeypatch.setattr(software.metadata, "entry_points", lambda group: [])
    assert software.check_jupyter(Asked()).state == WARN


@pytest.fixture
def torchvision(monkeypatch):
    """Makes the import of the networks' torchvision raise."""
    real = importlib.import_module

    def broken(error):
        def load(name):
            if name == "redistill.nets.torchvision_ops":
                raise error
            return real(name)

        monkeypatch.setattr(software.importlib, "import_module", load)

    return broken


def test_a_torchvision_that_does_not_load_fails(torchvision):
    torchvision(RuntimeError("Couldn't load custom C++ ops"))
    found = software.check_torch(Asked())
    assert found.state == FAIL
    assert "Couldn't load custom C++ ops" in found.found
    assert software.check_torch(Asked(brief=True)).state == OK, "brief does not load it"


def test_a_pair_that_does_not_belong_together_fails(monkeypatch):
    from packaging.specifiers import SpecifierSet

    monkeypatch.setattr(software, "_needs_torch", lambda: SpecifierSet("==1.2.3"))
    found = software.check_torch(Asked(brief=True))
    assert found.state == FAIL
    assert "made for torch ==1.2.3" in found.found


def test_operators_that_work_and_that_are_only_declared_are_told_apart(monkeypatch):
    def fake(nms):
        ops = SimpleNamespace(torchvision=SimpleNamespace(nms=nms))
        return SimpleNamespace(ops=ops, zeros=lambda *shape: shape)

    def declared(*_):
        raise NotImplementedError("Could not run 'torchvision::nms'")

    assert software._operators(fake(lambda *_: 0))
    assert not software._operators(fake(declared))

import hashlib
import json

import pytest
from forge import canonical, contents, edited, fitted, found, write, wrong

from redistill import cli

RUN = "runs/toy-1/"


def change_row(record):
    next(row for row in record["rows"] if row["name"] == "accuracy")["value"] = 0.75


def test_a_row_changed_with_its_hashes_but_not_in_the_notebook_is_found(bundle, tmp_path):
    files = contents(bundle)
    files[RUN + "record.json"] = edited(files[RUN + "record.json"], change_row)

    def change(row):
        row["value"] = 0.75 if row["name"] == "accuracy" else row["value"]

    files[RUN + "rows.jsonl"] = edited(files[RUN + "rows.jsonl"], change)
    found = wrong(write(tmp_path / "b.zip", fitted(files)))
    assert set(found) == {"rows shown in the notebook"}
    assert "'value': 0.515625" in found["rows shown in the notebook"]
    assert "'value': 0.75" in found["rows shown in the notebook"]


def set_to(**values):
    return lambda entry: entry.update(values)


def first_code(change):
    """Change the first code cell but the injected one."""

    def edit(nb):
        change(next(c for c in nb["cells"] if "configure" in str(c["source"])))

    return edit


def inject(text):
    def edit(nb):
        tag = ["injected-parameters"]
        next(c for c in nb["cells"] if c["metadata"].get("tags") == tag)["source"] = text

    return edit


def drop_row(nb):
    for cell in nb["cells"]:
        outputs = cell.get("outputs", [])
        cell["outputs"] = [o for o in outputs if "clips: 64" not in str(o.get("data"))]


@pytest.mark.parametrize(
    ("name", "change", "check"),
    [
        ("parameters.json", set_to(epochs=3), "parameters.json is the record's"),
        ("status.json", set_to(state="failed"), "records"),
        ("status.json", set_to(started="2020"), "status is completed"),
        ("data.json", set_to(manifest="other"), "data.json is the record's"),
        ("environment.json", set_to(cpu="better"), "environment.json is the record's"),
        ("rows.jsonl", set_to(unit="points"), "rows.jsonl is the record's"),
        ("rows.jsonl", lambda row: row["value"] == 64 and row.update(value=64.0),
         "rows.jsonl is the record's"),
        ("notebook.ipynb", drop_row, "rows shown in the notebook"),
        ("notebook.ipynb", first_code(set_to(source="x = 1")), "hash of the notebook's cells"),
        ("notebook.ipynb", first_code(set_to(execution_count=9)), "cells executed in order, all"),
        ("notebook.ipynb", inject("seed = 7\nroot = 'clips'\nsizes = [4, 5]"),
         "parameters set in the notebook"),
        ("notebook.ipynb", inject("__import__('os').system('x')"),
         "parameters set in the notebook"),
        ("figures/line.png", None, "pictures shown in the notebook"),
        ("record.json", set_to(status="failed"), "records"),
        ("record.json", lambda record: record.pop("rows"), "records"),
        ("record.json", set_to(config_hash="0" * 64), "hash of the parameters"),
        ("record.json", lambda record: record["parameters"].update(seed=9),
         "hash of the parameters"),
        ("record.json", set_to(notebook_hash="0" * 64), "hash of the notebook's cells"),
        ("record.json", lambda record: record["given"].update(seed=9),
         "parameters set in the notebook"),
        ("record.json", lambda record: record["cell_seconds"].pop(),
         "cells executed in order, all"),
        ("record.json", set_to(data={"manifest": "other"}), "data manifests"),
    ],
)  # fmt: skip
def test_one_file_changed_with_its_hash_contradicts_another(bundle, tmp_path, name, change, check):
    files = contents(bundle)
    was = files[RUN + name]
    files[RUN + name] = edited(was, change) if change else was + b"x"
    assert files[RUN + name] != was
    path = write(tmp_path / "b.zip", fitted(files))
    assert "toy-1" in wrong(path)[check] or check == "data manifests"
    assert cli.main(["verify", str(path)]) == 1


def test_a_verdict_changed_with_its_hash_is_found(bundle, tmp_path):
    files = contents(bundle)
    verdicts = json.loads(files["verdicts.json"])
    name = next(k for k, one in verdicts.items() if one["state"] == "inconclusive")
    entry = next(one for one in verdicts[name]["verdicts"] if one["runs"])
    assert set(entry["runs"]) <= {"1-scene_led-d0-s0", "1-scene_led-d1-s0"}
    for key, value in [("state", "reproduced"), ("mean", entry["mean"] * 1.00001), ("runs", [])]:
        was, entry[key] = entry[key], value
        files["verdicts.json"] = canonical(verdicts)
        told = wrong(write(tmp_path / "b.zip", fitted(files)))
        assert told["verdicts follow from the records"].startswith(name)
        entry[key] = was
    files["verdicts.json"] = canonical(verdicts)
    assert not wrong(write(tmp_path / "b.zip", fitted(files)))


def test_claims_made_easier_are_told(bundle, tmp_path):
    files = contents(bundle)
    text = files["claims.toml"].decode()
    files["claims.toml"] = text.replace('id = "P1"', 'id = "P0"').encode()
    states = found(write(tmp_path / "b.zip", fitted(files)))
    assert ("note", "claims.toml is not that of this suite", "") in states
    files["claims.toml"] = b"[[claim]]\nid = 1"
    unread = found(write(tmp_path / "b.zip", fitted(files)))
    (line,) = [one for one in unread if one[1] == "verdicts follow from the records"]
    assert line[0] == "not checkable"


def test_another_suite_is_a_note(bundle, tmp_path):
    files = contents(bundle)

    def change(manifest):
        manifest["suite"]["library_hash"] = "0" * 64
        manifest["suite"]["versions"]["torch"] = "1.0"

    files["MANIFEST.json"] = edited(files["MANIFEST.json"], change)
    told = found(write(tmp_path / "b.zip", fitted(files)))
    notes = {what: why for state, what, why in told if state == "note"}
    assert set(notes) == {"library_hash of the suite", "version of torch"}
    assert notes["version of torch"].startswith("1.0, here ")
    assert not [one for one in told if one[0] == "wrong"]


def test_a_manifest_changed_alone_is_found(bundle, tmp_path):
    files = contents(bundle)
    change = lambda manifest: manifest["suite"].update(version="9")  # noqa: E731
    files["MANIFEST.json"] = edited(files["MANIFEST.json"], change)
    assert set(wrong(write(tmp_path / "b.zip", files))) == {"digest over all"}


def test_a_run_that_counts_cannot_be_hidden(bundle, tmp_path):
    files = contents(bundle)

    def hide(manifest):
        manifest["runs"]["toy-1"] = {"state": "killed", "counted": False}

    files["MANIFEST.json"] = edited(files["MANIFEST.json"], hide)
    told = wrong(write(tmp_path / "b.zip", fitted(files)))
    assert "toy-1: it has a valid record" in told["records"]


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{}", b'"x"', b"1e999", b"NaN", b"[" * 100_000, b"\xff", b"9" * 5000,
     b'{"cells": [1]}', b'{"cells": [{"cell_type": [], "source": 3}]}', b"[[[]]]\n{}"],
)  # fmt: skip
def test_no_content_whatever_trips_the_checks(bundle, tmp_path, content):
    files = contents(bundle)
    own = {name for name in files if name.startswith(RUN) and "figures" not in name}
    tops = {"verdicts.json", "manifests.json", "claims.toml"}
    for broken in ({RUN + "record.json"} | tops, own - {RUN + "record.json"}):
        path = write(tmp_path / "b.zip", fitted(files | dict.fromkeys(broken, content)))
        states = [state for state, *_ in found(path)]
        assert states.count("wrong") + states.count("not checkable") > 9
    for name in tops:
        path = write(tmp_path / "b.zip", fitted(files | {name: content}))
        assert {state for state, *_ in found(path)} & {"wrong", "not checkable"}


def test_what_a_bundle_says_cannot_move_the_cursor(bundle, tmp_path, capsys):
    path = write(tmp_path / "b.zip", contents(bundle) | {"\x1b[2J\nok": b"x"})
    assert cli.main(["verify", str(path)]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\nok\n" not in out


def test_the_hashes_are_sha256_of_the_files(bundle):
    files = contents(bundle)
    manifest = json.loads(files.pop("MANIFEST.json"))
    assert manifest["files"] == {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in files.items()
    }
    told = manifest.pop("digest")
    assert told == hashlib.sha256(canonical(manifest)).hexdigest()

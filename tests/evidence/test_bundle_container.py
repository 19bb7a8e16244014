import stat
import struct
import tracemalloc
from zipfile import ZipFile, ZipInfo

import pytest
from forge import contents, fitted, found, write, wrong

from redistill import cli
from redistill.errors import RunError
from redistill.evidence.layout import FILE_MOST, TOTAL_MOST, too_large
from redistill.evidence.opened import check_container, open_bundle

RUN = "runs/toy-1/"


def test_an_untouched_bundle_passes(bundle, capsys):
    assert cli.main(["verify", str(bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    states = {line.split("  ")[0] for line in lines[:-1]}
    assert states - {"note"} == {"ok", "not checkable"}  # the library may be edited meanwhile
    for what in ("rows shown in the notebook", "pictures shown", "hash of the notebook's cells"):
        assert sum(line.startswith(f"ok             {what}") for line in lines) == 1
    assert "(2 runs)" in next(line for line in lines if line.startswith("not checkable"))


def test_a_flipped_byte_is_found_wherever_it_is(bundle, tmp_path):
    whole = bundle.read_bytes()
    with ZipFile(bundle) as pack:
        infos = pack.infolist()
    assert len(infos) > 25
    for info in infos:
        start = info.header_offset + 30 + len(info.filename)
        broken = bytearray(whole)
        broken[start + info.compress_size // 2] ^= 1
        path = tmp_path / "broken.zip"
        path.write_bytes(broken)
        if info.filename == "MANIFEST.json":
            with pytest.raises(RunError, match="damaged"):
                open_bundle(path)
        else:
            states = [(one.state, one.why) for one in check_container(open_bundle(path))]
            assert any(state == "wrong" and info.filename in why for state, why in states)


def test_a_file_written_anew_without_its_hash_is_found(bundle, tmp_path):
    files = contents(bundle)
    for name in set(files) - {"MANIFEST.json"}:
        other = files[name].swapcase()
        assert other != files[name]
        opened = open_bundle(write(tmp_path / "b.zip", files | {name: other}))
        told = [(one.what, one.why) for one in check_container(opened) if one.state == "wrong"]
        assert told == [("hashes are as listed", f"{name} (another content)")]


def test_a_file_added_removed_or_renamed_is_found(bundle, tmp_path):
    files, path = contents(bundle), tmp_path / "b.zip"
    extra = RUN + "figures/other.png"
    assert wrong(write(path, files | {extra: b"x"})) == {
        "nothing is unlisted": extra,
        "pictures shown in the notebook": "toy-1: other: not the picture that the notebook shows",
    }
    for name in set(files) - {"MANIFEST.json"}:
        less = {key: value for key, value in files.items() if key != name}
        opened = open_bundle(write(path, less))
        assert ("wrong", name) in {(one.state, one.why) for one in check_container(opened)}
    renamed = {k.replace("toy-1", "toy-3"): v for k, v in files.items()}
    assert {"nothing is missing", "nothing is unlisted", "runs are as listed"} <= set(
        wrong(write(path, renamed))
    )
    assert wrong(write(path, fitted(renamed)))["runs are as listed"] == "toy-1, toy-3"


@pytest.mark.parametrize(
    "name",
    ["../evil", "/tmp/evil", "runs/../evil", "runs/toy-1/../../record.json", "a\\b", "evil.py",
     "runs/toy-1/scratch/data", "runs/toy-1/figures/../record.json", "runs/", "runs/toy-1/x\0.png",
     "C:/evil", "runs/toy-1/record.json\n"],
)  # fmt: skip
def test_a_name_without_a_place_is_found_even_if_it_is_listed(bundle, tmp_path, name):
    files = contents(bundle)
    info = ZipInfo("placeholder")
    info.filename = info.orig_filename = name
    path = write(tmp_path / "b.zip", files, [(info, b"x")])
    assert "every name has its place" in wrong(path)
    if "\0" not in name and not name.endswith("/"):
        assert "every name has its place" in wrong(write(path, fitted(files | {name: b"x"})))


def test_a_name_twice_is_found(bundle, tmp_path):
    files = contents(bundle)
    name = RUN + "record.json"
    path = write(tmp_path / "b.zip", files, [(name, files[name])])
    assert wrong(path) == {"no name twice": name}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR])
def test_what_is_no_plain_file_is_found(bundle, tmp_path, kind):
    files = contents(bundle)
    name = RUN + "report.html"
    files[name] = b"/etc/passwd"
    listed = fitted(files)
    info = ZipInfo(name)
    info.create_system, info.external_attr = 3, (kind | 0o644) << 16
    less = {key: value for key, value in listed.items() if key != name}
    assert wrong(write(tmp_path / "b.zip", less, [(info, b"/etc/passwd")])) == {
        "plain files only": name
    }


def test_a_bomb_is_not_unpacked(bundle, tmp_path):
    name = RUN + "notebook.ipynb"
    files = fitted(contents(bundle) | {name: bytes(FILE_MOST + 1)})
    path = write(tmp_path / "b.zip", files)
    assert path.stat().st_size < FILE_MOST / 20
    told = found(path)
    assert [what for state, what, _ in told if state == "wrong"] == ["nothing is too large"]
    assert not [what for _, what, _ in told if "hashes" in what]
    assert told[-1][:2] == ("not checkable", "content")


def test_a_false_size_in_the_zip_is_found(bundle, tmp_path):
    """The directory of the zip says 10 bytes, what is packed has many more."""
    raw = bytearray(bundle.read_bytes())
    name = (RUN + "notebook.ipynb").encode()
    entry = raw.rindex(name) - 46
    assert raw[entry : entry + 4] == b"PK\1\2"
    raw[entry + 24 : entry + 28] = struct.pack("<I", 10)
    path = tmp_path / "b.zip"
    path.write_bytes(raw)
    assert wrong(path) == {"sizes are as listed": name.decode()}


def test_a_false_size_does_not_fill_the_memory(bundle, tmp_path):
    path = write(tmp_path / "b.zip", contents(bundle) | {"MANIFEST.json": bytes(64 << 20)})
    raw = bytearray(path.read_bytes())
    entry = raw.rindex(b"MANIFEST.json") - 46
    raw[entry + 24 : entry + 28] = struct.pack("<I", 10)
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        with pytest.raises(RunError, match="is damaged"):
            open_bundle(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_entries_that_share_their_bytes_are_found(bundle, tmp_path):
    """Overlapping entries make small bombs large."""
    raw = bytearray(bundle.read_bytes())
    with ZipFile(bundle) as pack:
        first, second = (pack.getinfo(f"runs/toy-{n}/report.html".replace("report.html",
                         "record.json")) for n in (1, 2))  # fmt: skip
    entry = raw.rindex(second.filename.encode()) - 46
    raw[entry + 42 : entry + 46] = struct.pack("<I", first.header_offset)
    path = tmp_path / "b.zip"
    path.write_bytes(raw)
    assert second.filename in wrong(path)["entries lie apart"]


def test_sizes_are_bounded_one_by_one_and_together():
    assert too_large({"a": FILE_MOST}, 1) == []
    assert too_large({"a": FILE_MOST + 1}, FILE_MOST)
    many = {str(n): FILE_MOST for n in range(TOTAL_MOST // FILE_MOST)}
    assert too_large(many, TOTAL_MOST) == []
    assert too_large(many | {"more": 1}, TOTAL_MOST)
    few = {str(n): FILE_MOST for n in range(9)}
    assert too_large(few, 9 * FILE_MOST // 100 - 1)
    assert too_large(few, 9 * FILE_MOST // 100 + 1) == []
    assert too_large({str(n): 0 for n in range(100_001)}, 1)


def test_what_is_cut_short_or_no_zip_is_no_bundle(bundle, tmp_path, capsys):
    whole, path = bundle.read_bytes(), tmp_path / "b.zip"
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert cli.main(["verify", str(path)]) == 2
        assert "no whole zip" in capsys.readouterr().err
    write(path, {"claims.toml": b""})
    assert cli.main(["verify", str(path)]) == 2
    assert "holds no MANIFEST.json" in capsys.readouterr().err
    assert cli.main(["verify", str(tmp_path / "none.zip")]) == 2


@pytest.mark.parametrize(
    "manifest",
    [b"", b"[]", b'{"format": 2}', b'{"format": 1}', b'{"format": 1, "files": {"a": 1}}',
     b'{"format": 1, "files": {}, "runs": {"a": {"state": 1, "counted": true}}}',
     b'{"format": 1, "files": {}, "runs": {}}', b"[" * 100_000,
     b'{"format": 1, "files": {}, "runs": {}, "suite": {"a": 1e999}, "digest": ""}'],
)  # fmt: skip
def test_a_manifest_that_is_none_is_no_bundle(bundle, tmp_path, manifest):
    path = write(tmp_path / "b.zip", contents(bundle) | {"MANIFEST.json": manifest})
    with pytest.raises(RunError, match="is no bundle"):
        open_bundle(path)

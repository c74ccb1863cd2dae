"""Files and folders appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from base.errors import BadInput
from base.files import (
    atomic_file,
    atomic_folder,
    check_overwritable,
    check_replaceable,
    check_writable,
    checksums,
    leads_out,
    spoken_of,
    write_text,
)

ROOT = Path(__file__).parents[2]

KILLED = """
import os, signal, sys
from pathlib import Path
from base.files import atomic_file, atomic_folder
with {kind}(Path(sys.argv[1])) as hidden:
    {write}
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    with atomic_file(file) as hidden:
        hidden.write_text("one")
        assert not file.exists() and hidden.parent == tmp_path and hidden.name.startswith(".")
    assert file.read_text() == "one" and names(tmp_path) == ["a.txt"]


def test_what_fails_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "a.txt") as hidden:
        hidden.write_text("half")
        1 / 0  # noqa: B018
    assert (tmp_path / "a.txt").read_text() == "one" and names(tmp_path) == ["a.txt"]


def test_a_folder_takes_its_name_in_place_of_an_older_one(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "set"
    for content in ("one", "two"):
        with atomic_folder(folder) as hidden:
            (hidden / content).write_text(content)
        assert names(folder) == [content] and names(tmp_path / "deep") == ["set"]


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    """A link to nothing yet; then again: what the first writer leaves must not be in the second's way."""
    link = tmp_path / "set"
    link.symlink_to("disk")
    for content in ("one", "two"):
        with atomic_folder(link) as hidden:
            (hidden / content).touch()
        assert link.is_symlink() and names(tmp_path / "disk") == [content] and names(tmp_path) == ["disk", "set"]


def test_a_file_in_a_folders_place_is_kept(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("one")
    with pytest.raises(BadInput, match=r"set is a file; accepted: a folder"), atomic_folder(tmp_path / "set"):
        pass
    assert names(tmp_path) == ["set"] and (tmp_path / "set").read_text() == "one"


def test_what_fails_leaves_the_folder_that_was_there(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "set") as hidden:
        (hidden / "one").touch()
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "set") as hidden:
        (hidden / "half").touch()
        1 / 0  # noqa: B018
    assert names(tmp_path) == ["set"] and names(tmp_path / "set") == ["one"]


@pytest.mark.parametrize(
    "kind, write", [("atomic_file", 'hidden.write_text("half")'), ("atomic_folder", '(hidden / "half").touch()')]
)
def test_a_kill_leaves_nothing_under_the_name(kind: str, write: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED.format(kind=kind, write=write), str(tmp_path / "it")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = names(tmp_path)
    assert left.startswith(".it.") and left.endswith(".tmp")


def test_the_next_writer_removes_what_a_kill_left(tmp_path: Path) -> None:
    (tmp_path / ".set.tmp").mkdir()
    (tmp_path / ".set.tmp" / "half").touch()
    with atomic_folder(tmp_path / "set") as hidden:
        assert names(hidden) == []
    assert names(tmp_path) == ["set"]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write everywhere")
def test_where_nobody_may_write_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with (
        pytest.raises(BadInput, match=r"cannot write beside .*set: Permission denied"),
        atomic_folder(tmp_path / "set"),
    ):
        pass


def test_below_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"cannot write beside .*set: "), atomic_folder(tmp_path / "file" / "set"):
        pass


@pytest.mark.parametrize("kind", [atomic_file, atomic_folder])
def test_a_refusal_names_what_was_asked_for_not_where_it_is_written(
    kind: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"^out/unet is empty$"), kind(Path("out")) as hidden:
        raise BadInput(f"{hidden}/unet is empty")


def test_a_refusal_never_names_a_scratch_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with (
        pytest.raises(BadInput, match=r"^emoji/student/vae: broken; see emoji/student$"),
        spoken_of(tmp_path / "link", "emoji/student"),
    ):
        raise BadInput(f"{tmp_path / 'link'}/vae: broken; see {tmp_path}")


def test_a_name_is_not_found_in_longer_ones() -> None:
    with pytest.raises(BadInput, match=r"^source/a, outer, out\.csv$"), spoken_of(Path("out"), "source"):
        raise BadInput("out/a, outer, out.csv")


def test_what_somebody_else_made_is_not_replaced(tmp_path: Path) -> None:
    check_replaceable(tmp_path, "mark")
    check_replaceable(tmp_path / "new", "mark")
    (tmp_path / "a.png").write_text("a picture")
    for folder in (tmp_path, tmp_path / "a.png"):
        with pytest.raises(BadInput, match="exists and holds no mark, so it will not be replaced"):
            check_replaceable(folder, "mark")
    (tmp_path / "mark").touch()
    check_replaceable(tmp_path, "mark")


def test_where_a_folder_cannot_be_made_is_told(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    (tmp_path / "a").write_text("a file")
    with pytest.raises(BadInput, match="a is a file: name a folder that can be made"):
        check_writable(tmp_path / "a" / "b")


def test_what_may_be_overwritten_is_told_by_a_word_and_a_file(tmp_path: Path) -> None:
    check_overwritable(tmp_path / "new", False, "mark", "thing")
    (table := tmp_path / "table.csv").write_text("")
    with pytest.raises(BadInput, match="exists already: name another file, or --overwrite"):
        check_overwritable(table, False, "", "file")
    check_overwritable(table, True, "", "file")
    (tmp_path / "there").mkdir()
    with pytest.raises(BadInput, match="exists already: name another folder, or --overwrite"):
        check_overwritable(tmp_path / "there", False, "mark", "thing")
    with pytest.raises(BadInput, match="is no thing, so it will not be overwritten"):
        check_overwritable(tmp_path / "there", True, "mark", "thing")
    (tmp_path / "there" / "mark").touch()
    check_overwritable(tmp_path / "there", True, "mark", "thing")


def test_every_file_below_a_folder_has_a_checksum(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write_text(tmp_path / "a" / "b.txt", "é")
    assert checksums(tmp_path) == {"a/b.txt": hashlib.sha256("é".encode()).hexdigest()}


@pytest.mark.parametrize(
    ("name", "out"), [("a/b", False), ("a..b", False), ("../a", True), ("a/../../b", True), ("/a", True)]
)
def test_a_path_that_leads_out_is_known(name: str, out: bool) -> None:
    assert leads_out(name) is out

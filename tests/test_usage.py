"""What the command line says by itself: every command shows an example that it takes, and a slip is one line."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from base.version import VERSION
from commands.usage import of_the_system as in_one_line_of
from ippo import app, main

COMMAND: Any = typer.main.get_command(app)


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the names that lead to it."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, one in below.items():
        yield from leaves(one, (*path, name))


LEAVES = dict(leaves(COMMAND))


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_the_example_of_a_command_is_one_that_it_takes(path: tuple[str, ...]) -> None:
    word, *example = shlex.split((LEAVES[path].epilog or "").removeprefix("Example: "))
    assert (word, *example[: len(path)]) == ("ippo", *path)
    with LEAVES[path].make_context(" ".join(path), example[len(path) :]) as context:
        assert context.params


def test_commands_are_listed_in_the_order_of_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(["--help"], capsys)[0] == 0
    listed = COMMAND.list_commands(None)
    assert listed[:4] == ["data", "new", "line", "train"] and listed[-1] == "serve" and len(set(listed)) == len(listed)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("generate --sed 3", "no such option: --sed; did you mean --seed or --size or --style?"),
        ("trian teacher x.yaml", "no such command 'trian'; did you mean 'train'?"),
        ("a-red-heart", "no such command 'a-red-heart'; see ippo --help"),
        ("data bild photos set", "no such command 'bild'; did you mean 'build'?"),
        ("train", "missing argument 'method'; see ippo train --help"),
        ("export run", "missing option '--out'; see ippo export --help"),
        ("studio here", "got unexpected extra argument(s) (here); see ippo studio --help"),
        ("generate a --seed", "option '--seed' requires an argument"),
        (
            "sample run a --take bst",
            "invalid value for '--take': 'bst' is not one of 'best', 'last'; see ippo sample --help",
        ),
        ("data avatars --count x", "invalid value for '--count': Input should be a valid integer"),
    ],
)
def test_a_slip_is_one_line_and_exit_code_two(arguments: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(arguments.split(), capsys)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.startswith(f"ippo: {line}")


@pytest.mark.parametrize("arguments", [[], ["data"]])
def test_without_a_command_its_help_is_shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(arguments, capsys)
    assert code == 2 and "Usage: ippo" in out + err and "ippo: " not in err.splitlines()[-1:]


@pytest.mark.parametrize("path", [(), ("data",), *LEAVES], ids=" ".join)
def test_every_way_of_asking_for_help_shows_it(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    short, long, word = (said(words, capsys) for words in ([*path, "-h"], [*path, "--help"], ["help", *path]))
    assert short == long == word and (short[0], short[2]) == (0, "") and " ".join(("Usage: ippo", *path)) in short[1]


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(["--version"], capsys) == (0, f"ippo {VERSION}\n", "")


@pytest.mark.parametrize("name", ["file/x", ".", "x" * 300, "nowhere/x"])
def test_what_the_system_refuses_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(OSError) as refused:
        (tmp_path / name).open("x")
    line = in_one_line_of(refused.value)
    assert line.startswith(str(tmp_path)) and "; accepted: a file or folder" in line and "\n" not in line
    assert in_one_line_of(OSError("another fault")) == ""


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([*LEAVES]), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_no_option_that_there_is_not_is_more_than_a_line(path: tuple[str, ...], name: str) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["ippo", *path, f"--no-such-{name}"])
        patch.setattr(sys, "stderr", kept := io.StringIO())
        main()
    assert ended.value.code == 2
    assert kept.getvalue().startswith("ippo: no such option") and len(kept.getvalue().splitlines()) == 1


def said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[Any, str, str]:
    """Exit code, standard output and standard error of a command line."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["ippo", *arguments])
        main()
    return ended.value.code or 0, *capsys.readouterr()

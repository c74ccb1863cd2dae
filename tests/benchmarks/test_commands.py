"""Every benchmark's command that a page, the Makefile or the benchmark itself shows is one that it takes; none is run."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator

import pytest
import typer
from typer.main import get_command

from base.shipped import ROOT

SHOWN = re.compile(r"(?:python|VENV\)/bin/python) -m (benchmarks(?:\.\w+)+)([^`\n]*)")
ENDS = re.compile(r"#|\|\||;|\(make ")
"""Where a command ends that stands in front of a comment, of its target, or in a recipe."""
PATTERNS = (
    "README.md",
    "CONTRIBUTING.md",
    "Makefile",
    "docs/**/*.md",
    "models/pretrained/*/README.md",
    "benchmarks/**/*.py",
)
PAGES = sorted(page for pattern in PATTERNS for page in ROOT.glob(pattern))
PEERS = {"benchmarks.size.latency_peer", "benchmarks.size.optimum_peer"}
"""Scripts of other environments, which answer lines on stdin."""


def variables() -> dict[str, str]:
    """Those of the Makefile that stand for words."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^(\w+) [:?]?= (.*)$", text, re.MULTILINE))


def expanded(line: str) -> str:
    """A recipe's line with its variables in it; what they do not say is a word."""
    known, before = variables(), ""
    while line != before:
        before, line = line, re.sub(r"\$\(([^()]*)\)", lambda match: known.get(match[1], "word"), line)
    return line.replace("$$", "")


def commands() -> Iterator[tuple[str, str, str]]:
    """Page, module and its arguments; optional ones are given too."""
    for page in PAGES:
        for module, rest in SHOWN.findall(page.read_text(encoding="utf-8")):
            rest = ENDS.split(expanded(rest) if page.name == "Makefile" else rest)[0]
            yield page.name, module, re.sub(r"\[|\]|\.\.\.", " ", rest).strip()


FOUND = sorted(set(commands()))


def parsed(module: str, arguments: list[str]) -> None:
    """Read arguments as the benchmark would, and do nothing; raises what its command line says of bad ones."""
    benchmark = importlib.import_module(module)
    app = getattr(benchmark, "app", None) or typer.Typer()
    if not hasattr(benchmark, "app"):
        app.command()(benchmark.main)
    command = get_command(app)
    for one in (command, *getattr(command, "commands", {}).values()):
        one.callback = lambda *values, **named: None
    command.main(arguments, prog_name=module, standalone_mode=False)


def test_every_benchmark_shows_its_command() -> None:
    runnable = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in ROOT.glob("benchmarks/**/*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    }
    shown = {module for _, module, _ in FOUND}
    assert runnable - shown - PEERS == {"benchmarks.gpu.gpu_steps"}  # of `gpu_check`
    assert shown <= runnable


@pytest.mark.parametrize(("page", "module", "arguments"), FOUND)
def test_a_command_that_is_shown_is_taken(page: str, module: str, arguments: str) -> None:
    parsed(module, [re.sub(r"^[A-Z|]+$", "1", word) for word in shlex.split(arguments)])


def test_one_that_is_not_taken_is_seen() -> None:
    with pytest.raises(Exception, match="No such option: --pictures"):
        parsed("benchmarks.load.killed", ["bundle", "--pictures", "3"])
    with pytest.raises(Exception, match="Missing parameter: file"):
        parsed("benchmarks.load.served", ["bundle", "a cat"])

"""The rules of the house that no linter knows: one meaning a name, short functions, docstrings with shapes, pages to finish."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("base", "benchmarks", "commands", "data", "evaluation", "export", "metrics", "models", "runtime", "serving")
PACKAGES += ("studio", "training")
ARRAYS = re.compile(r"\b(Tensor|NDArray|ndarray)\b")
SHAPE = re.compile(r"\(\s*[A-Za-z0-9·×… ]+(,[^()]*)?,?\s*\)|\(\)|\bscalar|one number|(any|their|its|the) shapes?\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the project but the tests, by its path."""
    files = [ROOT / "ippo.py", *(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))]
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text(encoding="utf-8")) for file in files}


def public(body: list[ast.stmt]) -> Iterator[Function]:
    """Public functions and methods."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body)
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node


def annotations(function: Function) -> str:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    arguments += [one for one in (function.args.vararg, function.args.kwarg) if one is not None]
    types = [one.annotation for one in arguments if one.annotation is not None]
    return " ".join(ast.unparse(one) for one in [*types, *([function.returns] if function.returns else [])])


def twice(names: list[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def test_no_two_files_of_one_name() -> None:
    names = [Path(file).name for file in modules()]
    assert not twice(names) - {"__init__.py"}


def test_no_two_classes_of_one_name() -> None:
    nodes = [node for module in modules().values() for node in ast.walk(module)]
    assert not twice([node.name for node in nodes if isinstance(node, ast.ClassDef)])


def test_packages_say_nothing_on_import() -> None:
    """An `__init__.py` that imports would tie what is deployed to what is not."""
    loud = [file for file, module in modules().items() if file.endswith("__init__.py") and len(module.body) > 1]
    assert not loud


def test_modules_say_what_they_are() -> None:
    silent = [
        name for name, module in modules().items() if not name.endswith("__init__.py") and not ast.get_docstring(module)
    ]
    assert not silent


def test_functions_are_short() -> None:
    long = {
        f"{file}: {node.name}"
        for file, module in modules().items()
        for node in ast.walk(module)
        if isinstance(node, Function) and (node.end_lineno or 0) - node.lineno >= 60
    }
    assert not long


def test_docstrings_of_functions_over_arrays_give_shapes() -> None:
    over_arrays = {
        f"{file}:{function.lineno} {function.name}": ast.get_docstring(function) or ""
        for file, module in modules().items()
        for function in public(module.body)
        if ARRAYS.search(annotations(function))
    }
    without = [name for name, text in over_arrays.items() if not SHAPE.search(text)]
    assert len(without) <= 0.05 * len(over_arrays), without


def test_nobody_branches_on_the_name_of_a_task_or_family() -> None:
    """What a task is stands in its descriptor, what a family is in the family's own file."""
    branch = re.compile(r"\b(if|elif)\b.*\b(task|family)\b *(==|!=|in) *[\"'(\[A-Z]|match .*\b(task|family):")
    found = [
        f"{file}: {line.strip()}"
        for file in modules()
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines()
        if branch.search(line)
    ]
    assert not found


def test_type_ignores_are_few() -> None:
    count = sum((ROOT / file).read_text(encoding="utf-8").count("type: ignore") for file in modules())
    assert count <= 25


def test_pages_can_be_finished() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1200
    releases = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1:]
    assert all(len(release.split()) <= 700 for release in releases)


def test_the_pages_for_programmers_name_files_that_are_there() -> None:
    """Those of a folder; `models/NAME.py` and the like are to be written. What stands behind a colon stands in the file."""
    named = re.compile(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.py)(?:: (?:[A-Za-z_]+\.)?([A-Za-z_]+))?`")
    pages = ((ROOT / page).read_text(encoding="utf-8") for page in ("CONTRIBUTING.md", "docs/architecture.md"))
    found = [(ROOT / file, name) for page in pages for file, name in named.findall(page)]
    assert len(found) > 40
    gone = [file for file, name in found if not file.is_file() or name not in file.read_text(encoding="utf-8")]
    assert not gone

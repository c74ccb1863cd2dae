"""The wheel alone is enough: built, installed in a folder of its own, and run where no checkout can be imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.evaluation.test_evaluation import image_set, networks

__all__ = ["image_set", "networks"]

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
PRODUCT = [name for name in PACKAGES if name not in ("benchmarks", "tests")]
LEFT_OUT = ("__pycache__", "node_modules", "pretrained", "results")

# Without `site` (-S) no .pth file is read, so an editable install is not seen; with -I neither is PYTHONPATH nor the
# working directory. Then the wheel's folder comes first, and the environment's packages last.
PROGRAM = """
import json, runpy, sys
wheel, environment, packages, arguments = json.loads(sys.argv[1])
sys.path[:] = [wheel, *sys.path, *environment]
sys.argv = ["ippo", *arguments]
try:
    {run}
finally:
    files = {{name: str(getattr(module, "__file__", "")) for name, module in sys.modules.items()}}
    strange = [file for name, file in files.items() if name.split(".")[0] in packages and not file.startswith(wheel)]
    assert not strange, strange
"""
SCRIPT = "runpy.run_path(f'{wheel}/bin/ippo', run_name='__main__')"
EVERY_HELP = """
    import ippo, typer
    from typer.testing import CliRunner
    def helped(command, names):
        result = CliRunner().invoke(ippo.app, [*names, "--help"])
        assert result.exit_code == 0, (names, result.output)
        print(" ".join(names))
        for name, below in getattr(command, "commands", {}).items():
            helped(below, [*names, name])
    helped(typer.main.get_command(ippo.app), [])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: building leaves files in its source folder."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for file in ROOT.glob("*.*"):
        if file.is_file() and file.suffix in (".py", ".toml", ".md"):
            shutil.copy(file, source)
    shutil.copy(ROOT / "LICENSE", source)
    shipped = source / "models" / "pretrained" / "any" / "weights.safetensors"
    shipped.parent.mkdir(parents=True)
    shipped.write_text("large")
    _pip("wheel", str(source), "--no-build-isolation", "--wheel-dir", str(out))
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    _pip("install", str(wheel), "--no-index", "--target", str(target))
    return target


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, "--no-deps", "--quiet"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr


def run(installed: Path, cwd: Path, *arguments: str, program: str = SCRIPT) -> subprocess.CompletedProcess[str]:
    environment = list(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))
    given = json.dumps([str(installed), environment, PACKAGES, arguments])
    command = [sys.executable, "-I", "-S", "-c", PROGRAM.format(run=program.strip()), given]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=600)


def test_it_holds_the_product_and_nothing_else(wheel: Path) -> None:
    files = {path.relative_to(ROOT) for name in PRODUCT for path in (ROOT / name).rglob("*") if path.is_file()}
    expected = {file.as_posix() for file in files if not set(LEFT_OUT) & set(file.parts)} | {"ippo.py"}
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_every_command_helps(installed: Path, tmp_path: Path) -> None:
    result = run(installed, tmp_path, program=EVERY_HELP)
    assert result.returncode == 0, result.stderr
    helped = result.stdout.splitlines()
    assert {"", "train", "export", "evaluate", "compare", "generate", "serve", "studio", "data build"} <= set(helped)
    assert list(tmp_path.iterdir()) == []


def test_the_checkout_is_not_there(installed: Path, tmp_path: Path) -> None:
    for name in ("benchmarks", "tests"):
        result = run(installed, tmp_path, program=f"import {name}")
        assert f"No module named '{name}'" in result.stderr


def test_a_student_is_evaluated(
    installed: Path, image_set: Path, networks: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    result = run(
        installed, tmp_path, "evaluate", str(tiny_bundle), "--data", str(image_set),
        "--teacher", str(networks / "teacher"), "--judge", str(networks / "judge"), "--out", "report",
        "--backend", "ort", "--steps", "2", "--student-steps", "1", "--images", "12", "--captions", "4",
        "--sweep", "6", "--guidances", "1,2", "--samplers", "ddim",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "report/evaluation.html"
    figures = json.loads((tmp_path / "report" / "quality.json").read_text())
    assert [line["name"] for line in figures["lines"]][::2] == ["floor: training reals", "student, 1 step"]
    assert "student, 1 step" in (tmp_path / "report" / "evaluation.html").read_text()


@pytest.mark.slow
def test_runs_are_compared(installed: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text('{"step": 1, "generator/total": 0.5}\n')
    result = run(installed, tmp_path, "compare", str(tmp_path / "first"), str(tmp_path / "second"))
    assert result.returncode == 0, result.stderr
    assert "generator/total" in (tmp_path / "compare.html").read_text()


def test_models_that_ship_with_the_checkout_are_asked_for_in_one_line(installed: Path, tmp_path: Path) -> None:
    result = run(installed, tmp_path, "generate", "a cat")
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ippo: ") and "models/pretrained" in last and "Traceback" not in result.stderr

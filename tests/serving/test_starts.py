"""Starts that fail: each ends `ippo serve` with code 2 and one line, whether it is known before or only by the worker."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from base.errors import BadInput
from base.shipped import PRETRAINED
from benchmarks.load.served import free_port
from runtime.manifest import MANIFEST
from serving import worker_start
from serving.preflight import check
from serving.serve_config import ServeConfig
from tests.serving.conftest import SERVE, environment

WITHIN = 120


@pytest.fixture(scope="module")
def unreadable(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose fused graph is what its manifest says, and no graph."""
    folder = tmp_path_factory.mktemp("unreadable") / "tiny"
    shutil.copytree(tiny_bundle, folder)
    (folder / "one_step.onnx").write_bytes(b"no graph")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["one_step.onnx"] = hashlib.sha256(b"no graph").hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def ended(config: ServeConfig, **changed: Any) -> str:
    """The last line of a start that fails: it alone speaks to people, before it stand lines of JSON at most."""
    config = ServeConfig.model_validate({**dict(config), "port": free_port(), **changed})
    result = subprocess.run(SERVE, env=environment(config), capture_output=True, text=True, timeout=WITHIN)
    assert result.returncode == 2
    assert not [line for line in result.stderr.splitlines() if line.startswith(("Traceback", "  "))]
    said = [line for line in result.stderr.splitlines() if line.startswith("ippo: ")]
    assert len(said) == 1 and result.stderr.splitlines()[-1] == said[0]
    return said[0]


def test_bundles_of_two_tasks_are_refused_before_the_server_starts(config: ServeConfig, tiny_bundle: Path) -> None:
    said = ended(config, models={"one": tiny_bundle, "two": PRETRAINED / "digits" / "student"})
    assert "all must have one task" in said and said.endswith("one is text-to-image and two is class-to-image")


def test_a_worker_that_cannot_load_ends_the_server(config: ServeConfig, unreadable: Path) -> None:
    """ONNX Runtime alone can know it; the worker is not started again and again behind an open port."""
    assert "one_step.onnx" in ended(config, bundle=unreadable)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"aliases": {"gpt-image-1": "emoji"}}, "gpt-image-1=emoji, but no such model is served; accepted: tiny"),
        ({"aliases": {"tiny": "tiny"}}, "tiny is the name of a served model"),
        ({"bundle": Path("nowhere")}, "no bundle nowhere"),
        ({"backend": "ortt"}, "did you mean 'ort'?"),
    ],
)
def test_what_is_checked_before_a_worker_starts(config: ServeConfig, changed: Mapping[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says.replace("?", r"\?")):
        check(ServeConfig.model_validate({**dict(config), **changed}))


@pytest.mark.parametrize(
    ("page", "missing", "says"),
    [
        (False, "bentoml", "serving needs bentoml: pip install 'ippo[serve]'"),
        (True, "gradio", "serving needs gradio: pip install 'ippo[serve]', or page=false"),
        (False, "gradio", ""),
    ],
)
def test_missing_packages_name_their_extra(config: ServeConfig, page: bool, missing: str, says: str) -> None:
    """In a process that cannot find them."""
    code = f"""
import sys
class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Without)
from base.errors import BadInput
from base.shipped import PRETRAINED
from serving import preflight
from serving.serve_config import ServeConfig
try:
    preflight.check_packages(ServeConfig.from_environment())
except BadInput as error:
    print(error)
"""
    asked = config.model_copy(update={"page": page})
    result = subprocess.run([sys.executable, "-c", code], env=environment(asked), capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, says), result.stderr


@pytest.mark.parametrize(
    ("models", "says"),
    [("a=x,a=y", "each name may stand in models once"), ("a=x,=y", "models are written NAME=FOLDER,NAME=FOLDER")],
)
def test_models_are_named_once(models: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        ServeConfig.resolve(None, {}, [f"models={models}"])


def test_a_worker_whose_forerunner_died_while_loading_ends_the_server() -> None:
    """Killed for memory, it could say nothing; its mark does. A worker that came to draw leaves none."""
    code = """
import os, subprocess, sys
from serving import worker_start
worker_start.watch()
worker = "from serving import worker_start; worker_start.begin(); {}"
run = lambda end: subprocess.run([sys.executable, "-c", worker.format(end)]).returncode
print(run("worker_start.done()"), run("worker_start.done()"), run("import os; os._exit(9)"), flush=True)
run("print('never')")
print("nor this")
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(ServeConfig())
    )
    assert result.returncode == 2 and result.stdout == "0 0 9\n"
    assert result.stderr.startswith("ippo: a worker died while it loaded the models") and result.stderr.count("\n") == 1


def test_without_a_supervisor_an_error_is_raised_as_it_is() -> None:
    with pytest.raises(BadInput, match=r"^bad$"):
        worker_start.give_up(BadInput("bad"))

"""What is installed and packed: the bento's list against the project's, and a bento built and served elsewhere."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml

from base.shipped import ROOT, SHIPPED_BUNDLE
from benchmarks.load.served import free_port
from serving.serve_config import ServeConfig
from tests.serving.conftest import wait_until_ready


def _name(requirement: str) -> str:
    for mark in "[<>=!~ ;":
        requirement = requirement.split(mark)[0]
    return requirement.lower().replace("_", "-")


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {_name(line): line.split("==")[1] for line in lines if line and not line.startswith("#")}


def _bentofile() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    return loaded


def _project() -> dict[str, Any]:
    loaded: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return loaded


def test_bento_holds_what_serving_needs_as_pinned() -> None:
    project, pins = _project(), _pins()
    needed = {_name(line) for line in (*project["dependencies"], *project["optional-dependencies"]["serve"])}
    packed = dict(line.split("==") for line in _bentofile()["python"]["packages"])
    assert set(packed) == needed
    assert packed == {name: pins[name] for name in needed}


def test_everything_that_is_installed_is_pinned() -> None:
    project, pins = _project(), _pins()
    extras = [project["optional-dependencies"][extra] for extra in ("serve", "train", "dev", "load")]
    wanted = {_name(line) for line in (*project["dependencies"], *(line for extra in extras for line in extra))}
    assert wanted - {"ippo"} <= set(pins)
    assert pins["torch"] == "2.13.0"
    assert not [pin for pin in pins.values() if "+" in pin or "@" in pin]


def test_what_is_packed_holds_the_bundle_that_is_served_by_default() -> None:
    bundle = SHIPPED_BUNDLE.relative_to(ROOT).as_posix()
    assert ServeConfig().bundle == SHIPPED_BUNDLE and SHIPPED_BUNDLE.is_dir()
    assert f"{bundle}/**" in _bentofile()["include"]
    assert f"COPY {bundle} {bundle}" in (ROOT / "Containerfile").read_text().splitlines()


def test_kubernetes_takes_the_manifests() -> None:
    manifests = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))
    assert [manifest["kind"] for manifest in manifests] == ["Deployment", "Service", "HorizontalPodAutoscaler"]
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.34", strict=True)
    deployment, service, scaler = manifests
    pod = deployment["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    (container,) = pod["spec"]["containers"]
    settings = {variable["name"] for variable in container["env"]} - {"OMP_NUM_THREADS"}
    assert settings <= {f"IPPO_{name.upper()}" for name in ServeConfig.model_fields}
    assert pod["spec"]["terminationGracePeriodSeconds"] > ServeConfig().deadline


def test_container_copies_what_is_there() -> None:
    lines = (ROOT / "Containerfile").read_text().splitlines()
    sources = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    assert "serving" in sources and all(list(ROOT.glob(name)) for name in sources)
    assert not any("training" in source for source in sources)
    copied = {source.partition("/")[0] for source in sources}
    started = [ROOT / "ippo.py", *(ROOT / "commands").glob("*.py")]  # what they import before a command is chosen
    statements = [statement for file in started for statement in ast.parse(file.read_text()).body]
    needed = {node.module.partition(".")[0] for node in statements if isinstance(node, ast.ImportFrom) and node.module}
    needed |= {
        name.name.partition(".")[0] for node in statements if isinstance(node, ast.Import) for name in node.names
    }
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert "commands" in needed and needed & ours <= copied


NOT_INSTALLED = """
import sys
from pathlib import Path

sys.path[:] = [place for place in sys.path if not Path(place, "ippo.py").is_file()]
"""
"""A `sitecustomize`: BentoML takes `ippo:latest` for a module's attribute first, and would find an installed checkout's."""


@pytest.mark.slow
def test_bento_is_built_and_served_from_another_folder(tiny_bundle: Path, tmp_path: Path) -> None:
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for package in ("base", "models", "runtime", "serving"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("pretrained", "__pycache__"))
    shutil.copy(ROOT / "bentofile.yaml", source)
    shutil.copytree(tiny_bundle, source / "models" / "pretrained" / "emoji" / "student")
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path / "home"), "BENTOML_DO_NOT_TRACK": "True"}
    environment |= {"IPPO_BACKEND": "ort", "IPPO_PAGE": "false"}
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(NOT_INSTALLED)
    environment["PYTHONPATH"] = str(tmp_path / "site")
    subprocess.run([sys.executable, "-m", "bentoml", "build"], cwd=source, env=environment, check=True, timeout=120)
    shutil.rmtree(source)

    (bento,) = (path for path in (tmp_path / "home" / "bentos" / "ippo").iterdir() if path.is_dir())
    packed = (bento / "env" / "python" / "requirements.txt").read_text()
    assert "openvino" in packed and "torch" not in packed
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "ippo:latest", "--host", "127.0.0.1", "--port", str(port)]
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=elsewhere, env=environment, stdout=output, stderr=output)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process, log)
        answer = httpx.post(f"http://127.0.0.1:{port}/generate", json={"prompt": "a cat", "seed": 7})
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    finally:
        process.terminate()
        process.wait(60)

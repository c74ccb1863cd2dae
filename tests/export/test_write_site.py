"""A bundle as a site: every file that the page may want and none else, the same bytes each time; refusals of one line."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ippo
from base.errors import BadInput
from base.files import sha256
from base.shipped import PRETRAINED, SHIPPED_BUNDLE
from export import site_description
from export.site_description import describe
from export.write_site import BINARIES, MODULES, RUNTIME, SOURCE, write_site
from models.task import task_named, task_names
from runtime.bundle import Bundle, open_bundle
from runtime.manifest import MANIFEST


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A node_modules as npm leaves it; what the runtime's files hold is nothing to the writer."""
    pinned = json.loads((SOURCE / "package.json").read_text())["dependencies"][RUNTIME]
    dist = tmp_path / "node_modules" / RUNTIME / "dist"
    dist.mkdir(parents=True)
    (dist.parent / "package.json").write_text(json.dumps({"version": pinned}))
    for name in (*MODULES, *BINARIES):
        (dist / name).write_text(name * 100)
    return tmp_path / "node_modules"


@pytest.mark.parametrize("name", ["digits", "avatars", "emoji"])
def test_a_site_holds_what_its_page_asks_for(name: str, packages: Path, tmp_path: Path) -> None:
    bundle, out = open_bundle(PRETRAINED / name / "student"), tmp_path / "site"
    written = write_site(bundle, out, "A & <B>", packages=packages)
    values = json.loads((out / "site.json").read_text(encoding="utf-8"))
    for path, file in values["files"].items():
        content = (out / file["url"]).read_bytes()
        assert len(content) == file["wire"]
        plain = gzip.decompress(content) if file["url"].endswith(".gz") else content
        original = bundle.folder / path if path in bundle.manifest.files else packages / RUNTIME / "dist" / path
        assert plain == original.read_bytes() and sha256(original) == file["sha256"]
    shell = json.loads((out / "shell.js").read_text().partition("= ")[2].rstrip(";\n"))
    loaded = {*shell["now"], *shell["later"], *(file["url"] for file in values["files"].values())}
    lying = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert loaded - {"./"} == lying - {"index.html", "service-worker.js", ".nojekyll"} - {"shell.js"}
    worker = (out / "worker.js").read_text(encoding="utf-8")
    named = {f"{RUNTIME}/{name}" for name in re.findall(r'(?:module|glue): "([^"]+)"', worker)}
    assert named == {file for file in lying if file.startswith(RUNTIME) and file.endswith(".js")}
    assert not any(file.endswith(".mjs") for file in lying)  # of which not every server knows the type
    assert "<title>A &amp; &lt;B&gt; · ippo</title>" in (out / "index.html").read_text(encoding="utf-8")
    assert written.whole == sum((out / file).stat().st_size for file in lying)
    assert 0 < written.model < sum((bundle.folder / file).stat().st_size for file in bundle.manifest.files)


def test_the_same_bundle_gives_the_same_bytes(packages: Path, tmp_path: Path) -> None:
    bundle = open_bundle(PRETRAINED / "digits" / "student")
    sites = []
    for name in ("one", "other"):
        write_site(bundle, tmp_path / name, packages=packages)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        sites.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert sites[0] == sites[1]


def test_another_model_is_another_version(packages: Path, tmp_path: Path) -> None:
    versions = set()
    for name in ("digits", "avatars"):
        write_site(open_bundle(PRETRAINED / name / "student"), tmp_path / name, "same", packages=packages)
        versions.add((tmp_path / name / "shell.js").read_text().splitlines()[1])
    assert len(versions) == 2


def test_graphs_name_their_weights_from_where_they_lie() -> None:
    site = describe(open_bundle(SHIPPED_BUNDLE))
    assert "panda on green" in site.suggestions and not site.unsuggested
    weights = "unet/diffusion_pytorch_model.safetensors"
    assert weights in {file.name for file in site.graphs["one_step"].data}
    assert [(file.name, file.path) for file in site.graphs["denoiser"].data] == [(Path(weights).name, weights)]


def test_every_task_that_makes_images_has_a_control_that_the_page_knows() -> None:
    source = (SOURCE / "controls.js").read_text(encoding="utf-8").partition("const CONTROLS = {")[2].partition("}")[0]
    for task in map(task_named, task_names()):
        if task.output == "image":
            assert type(task().control()).__name__ in source.replace(":", ",").replace(" ", "").split(",")


def altered(folder: Path, **changes: object) -> Bundle:
    """A copy of the digits whose manifest says something else."""
    shutil.copytree(PRETRAINED / "digits" / "student", folder)
    values = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**values, **changes}))
    return open_bundle(folder)


def test_what_a_page_cannot_draw_is_refused(tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = json.loads((PRETRAINED / "digits" / "student" / MANIFEST).read_text())["graphs"]
    bundle = altered(tmp_path / "split", graphs={name: path for name, path in graphs.items() if name != "one_step"})
    with pytest.raises(BadInput, match="has no fused graph one_step"):
        write_site(bundle, tmp_path / "site", packages=packages)
    monkeypatch.setattr(site_description, "MOST_BYTES", 100_000)
    with pytest.raises(BadInput, match=r"holds 0\.00 GB of weights, too much for a browser"):
        write_site(open_bundle(PRETRAINED / "digits" / "student"), tmp_path / "site", packages=packages)
    assert not (tmp_path / "site").exists()


def test_what_lies_there_stays(tmp_path: Path, packages: Path) -> None:
    bundle, out = open_bundle(PRETRAINED / "digits" / "student"), tmp_path / "site"
    write_site(bundle, out, packages=packages)
    with pytest.raises(BadInput, match="exists already"):
        write_site(bundle, out, packages=packages)
    write_site(bundle, out, "again", overwrite=True, packages=packages)
    assert "again" in (out / "index.html").read_text()
    (tmp_path / "mine").mkdir()
    with pytest.raises(BadInput, match="is no site"):
        write_site(bundle, tmp_path / "mine", overwrite=True, packages=packages)


def test_the_command_says_what_is_missing(tmp_path: Path, packages: Path) -> None:
    bundle, out = str(PRETRAINED / "digits" / "student"), str(tmp_path / "site")
    done = CliRunner().invoke(ippo.app, ["web", bundle, "--out", out, "--packages", str(tmp_path)])
    assert isinstance(done.exception, BadInput)
    assert str(done.exception).startswith(f"{tmp_path} holds no onnxruntime-web") and "npm ci" in str(done.exception)
    (packages / RUNTIME / "package.json").write_text('{"version": "0.0.1"}')
    done = CliRunner().invoke(ippo.app, ["web", bundle, "--out", out, "--packages", str(packages)])
    assert "is 0.0.1, the page is made for" in str(done.exception)
    assert not Path(out).exists()


def test_the_command_writes_a_site(tmp_path: Path, packages: Path) -> None:
    bundle, out = str(PRETRAINED / "digits" / "student"), tmp_path / "site"
    done = CliRunner().invoke(ippo.app, ["web", bundle, "--out", str(out), "--packages", str(packages)])
    assert done.exit_code == 0, done.output
    assert f"python -m http.server 8000 --directory {out}" in done.output
    assert (out / "index.html").is_file()

"""A bundle → a static folder whose page draws in the browser: files copied and packed; it knows nothing of how they are drawn.

Nothing of it is fetched from elsewhere. What is packed is gzip by its own name: no host has to do it.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import html
import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from base.errors import BadInput
from base.files import atomic_folder, check_overwritable, sha256
from export.site_description import Site, describe
from runtime.bundle import Bundle

SOURCE = Path(__file__).with_name("site")
"""The page, and the `package.json` that pins what it runs on."""
PACKAGES = SOURCE / "node_modules"
"""Where `npm ci` puts that."""
PAGES = (".html", ".css", ".js", ".svg", ".webmanifest", ".txt")
DESCRIPTION = "site.json"
"""What the page knows of the model; the file by which a folder is known as a site."""
RUNTIME = "onnxruntime-web"
MODULES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
)
"""They end in .js in a site: nginx as it comes gives .mjs a type that browsers do not run."""
BINARIES = ("ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.asyncify.wasm")
"""For a CPU, and for a GPU; a page loads one of them."""
ON_A_GPU = ("webgpu", "asyncify")
WORTH = 0.9
"""What gzip does not make this small stays as it is: weights, above all."""


@dataclass(frozen=True)
class SiteFile:
    """A file that the page loads, checks and keeps."""

    url: str
    sha256: str
    """Of what is inside, where the file is packed."""
    bytes: int
    wire: int
    """Bytes of the file itself."""


@dataclass(frozen=True)
class Written:
    """What a site weighs, in bytes as they lie there."""

    folder: Path
    whole: int
    model: int
    """The bundle's share of a first visit."""
    page: int
    """Everything else of a first visit, on a CPU."""


def write_site(
    bundle: Bundle, out: Path, title: str | None = None, overwrite: bool = False, packages: Path = PACKAGES
) -> Written:
    """The site `out` of a bundle; nothing is left behind when it fails, and an older one stays as it was.

    `packages`: the node_modules that holds onnxruntime-web. BadInput: a bundle that a page cannot draw with, no
    onnxruntime-web of the pinned version, something at `out` that may not go.
    """
    site = describe(bundle, title)
    if line := missing(packages):
        raise BadInput(line)
    check_overwritable(out, overwrite, DESCRIPTION, "site")
    dist = packages / RUNTIME / "dist"
    try:
        with atomic_folder(out) as folder:
            model = {name: _pack(bundle.folder / name, folder, f"model/{name}") for name in site.paths()}
            runtime = {name: _pack(dist / name, folder, f"{RUNTIME}/{name}") for name in BINARIES}
            for name in MODULES:
                shutil.copyfile(dist / name, (folder / RUNTIME / name).with_suffix(".js"))
            for file in _sources():
                shutil.copyfile(file, folder / file.name)
            _title(folder / "index.html", site.title)
            values = {
                **dataclasses.asdict(site),
                "files": {k: dataclasses.asdict(v) for k, v in (model | runtime).items()},
            }
            (folder / DESCRIPTION).write_text(json.dumps(values, ensure_ascii=False) + "\n", encoding="utf-8")
            (folder / "shell.js").write_text(_shell(folder), encoding="utf-8")
            (folder / ".nojekyll").touch()  # GitHub Pages: files as they are
    except OSError as error:
        raise BadInput(f"{out} cannot be written: {error.strerror or error}") from error
    return _weighed(out, site, model, runtime)


def missing(packages: Path = PACKAGES) -> str | None:
    """What to do where a node_modules does not hold onnxruntime-web as it is pinned; None: it does."""
    command = f"npm ci --omit=dev --ignore-scripts --prefix {shlex.quote(str(SOURCE))}"
    pinned = json.loads((SOURCE / "package.json").read_text())["dependencies"][RUNTIME]
    file = packages / RUNTIME / "package.json"
    if not file.is_file():
        return f"{packages} holds no {RUNTIME} {pinned}: {command}"
    found = json.loads(file.read_text())["version"]
    return None if found == pinned else f"{file.parent} is {found}, the page is made for {pinned}: {command}"


def _sources() -> list[Path]:
    return [file for file in sorted(SOURCE.iterdir()) if file.suffix in PAGES]


def _pack(file: Path, folder: Path, url: str) -> SiteFile:
    """Copy a file into the site, as gzip where that is worth it; the same bytes give the same file."""
    content = file.read_bytes()
    packed = gzip.compress(content, 9, mtime=0)
    worth = len(packed) < WORTH * len(content)
    target = folder / (f"{url}.gz" if worth else url)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(packed if worth else content)
    where = target.relative_to(folder).as_posix()
    return SiteFile(where, sha256(file), len(content), target.stat().st_size)


def _title(page: Path, title: str) -> None:
    text, named = page.read_text("utf-8"), f"<title>{html.escape(title)} · ippo</title>"
    page.write_text(text.replace("<title>ippo</title>", named), "utf-8")


def _shell(folder: Path) -> str:
    """What the service worker keeps: its own version, the files of the page at once, those for a GPU when they are loaded."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    shell = [
        name for name in names if not name.startswith("model/") and not name.endswith((".gz", "service-worker.js"))
    ]
    later = [name for name in shell if name.startswith(RUNTIME) and any(part in name for part in ON_A_GPU)]
    version = hashlib.sha256("".join(sha256(folder / name) for name in shell).encode()).hexdigest()[:16]
    now = ["./", *(name for name in shell if name not in (*later, "index.html"))]
    return f"self.SHELL = {json.dumps({'version': version, 'now': now, 'later': later}, indent=2)};\n"


def _weighed(out: Path, site: Site, model: dict[str, SiteFile], runtime: dict[str, SiteFile]) -> Written:
    whole = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    gpu = sum(file.stat().st_size for file in (out / RUNTIME).iterdir() if any(part in file.name for part in ON_A_GPU))
    share = sum(file.wire for file in model.values())
    return Written(out, whole, share, whole - gpu - share)

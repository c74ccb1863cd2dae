"""Engines at the size of Stable Diffusion 1.4, built by NVIDIA's parser and builder without a GPU; it runs none of them.

python -m benchmarks.size.edge_engines tables --out FOLDER [--small] [--only denoiser]

Each graph is written by one process and built by another, whose seconds and memory are those of the build alone.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.child import JsonObject, last_object
from benchmarks.peer_side import peak_gb

app = typer.Typer(add_completion=False, help=__doc__)
Small = Annotated[bool, typer.Option("--small", help="Tiny networks of the same classes.")]
GPUS = ("sm86", "sm120")
PARTS = {"conditioner": "KL", "denoiser": "KL", "decoder": "KL", "tiny decoder": "tiny"}
"""Graph → the decoder of the student that it is taken from."""
MINUTES, MEMORY_GB = 5.0, 14.0
"""The bars of all four together, and of each."""
LAYER = re.compile(r"^Name: (\S+), LayerType: (\w+),.*Metadata: (.*)$")
ATTENTION, SOFTMAX, NORM = "mha", "Softmax", "InstanceNormalization|layer_norm"
"""In the builder's name of a layer that computes a whole attention; in those of the graph's own operations."""


@app.command()
def tables(
    out: Annotated[Path, typer.Option(help="Folder of the tables.")], small: Small = False, only: str = ""
) -> None:
    """Write and build every graph; the tables go to OUT and to stdout."""
    from evaluation import result
    from evaluation.pages.sheet import Sheet

    rows = {}
    for part in [only] if only else PARTS:
        with tempfile.TemporaryDirectory() as scratch:
            last_object("benchmarks.size.edge_engines", "write", part, scratch, *(["--small"] if small else []))
            rows[part] = last_object("benchmarks.size.edge_engines", "build", part, scratch)
        print(json.dumps({"what": part, **rows[part]}), flush=True)
    bars = [result.Bar("minutes of all builds", sum(row["build s"] for row in rows.values()) / 60, most=MINUTES)]
    bars += [result.Bar(f"{part}: peak GB", row["peak GB"], most=MEMORY_GB) for part, row in rows.items()]
    heads = list(next(iter(rows.values())))
    cells = [[part, *(result.cell(row[head]) for head in heads)] for part, row in rows.items()]
    title = "Engines at the size of Stable Diffusion 1.4, built without a GPU"
    table = result.bars_result(title, bars, figures={"graphs": rows})
    each = Sheet("Each graph", ["graph", *heads], cells)
    result.save(replace(table, sheets=[*table.sheets, each]), out / "edge-engines")


@app.command()
def write(part: str, folder: Path, small: Small = False) -> None:
    """One graph with random weights in fp16, and the plans of its inputs."""
    import torch

    from benchmarks.size.random_networks import FULL, SMALL, student
    from export import graphs
    from models import folder as folders
    from runtime import networks
    from runtime.signature import COMPONENTS, INPUT_AXES

    name = part.split()[-1]
    pipeline = student(SMALL if small else FULL, PARTS[part])
    folders.save(pipeline, folder, torch.float16)
    inputs = networks.examples(pipeline, batch=2)[name]
    weights = [folder / file for file in folders.weight_files(pipeline)[COMPONENTS[name].part]]
    graph = graphs.write(name, networks.components(pipeline)[name], inputs, weights)
    _, height, width = pipeline.latent_shape
    axes = {key: INPUT_AXES[name][key] for key in inputs}
    own = {axis for names in axes.values() for axis in names.values()}
    sizes = {"height": height, "width": width}
    plans = [{"batch": batch, **{axis: size for axis, size in sizes.items() if axis in own}} for batch in (1, 4)]
    described: JsonObject = {"graph": str(graph.relative_to(folder)), "axes": axes, "plans": plans}
    described["weights MB"] = sum(file.stat().st_size for file in weights) / 1e6
    (folder / "edge.json").write_text(json.dumps(described))
    print(json.dumps(described))


@app.command()
def build(part: str, folder: Path) -> None:
    """Build what `write` wrote: seconds, peak of this process, bytes, and the layers that the builder lists."""
    import tensorrt_rtx_bindings as api

    from runtime import engine_build

    described: JsonObject = json.loads((folder / "edge.json").read_text())
    axes = {name: {int(index): axis for index, axis in known.items()} for name, known in described["axes"].items()}
    graph, options = folder / described["graph"], engine_build.EngineOptions([described["plans"]], GPUS, described=True)
    began = time.perf_counter()
    network = engine_build.parse(api, graph, axes).network
    parsed, types = time.perf_counter() - began, engine_build.layer_types(network)
    del network
    began = time.perf_counter()
    size = len(engine_build.build(api, graph, axes, options)) / 1e6
    seconds = time.perf_counter() - began
    row: JsonObject = {"parse s": parsed, "build s": seconds, "peak GB": peak_gb(), "engine MB": size}
    row["÷ fp16 weights"] = size / described["weights MB"]
    row["layers of the graph"] = sum(count for (kind, _), count in types.items() if kind != "CONSTANT")
    print(json.dumps(row | layers(line for _, line in engine_build.build_log(api).lines)))


def layers(lines: Iterable[str]) -> JsonObject:
    """The engine's layers in the builder's log: how many of each kind, and into how few the graph's operations were joined."""
    found = [match.groups() for line in "\n".join(lines).splitlines() if (match := LAYER.match(line))]
    kinds = Counter(kind for _, kind, _ in found)
    joined = [set(re.findall(r"\[ONNX Layer: ([^\]]+)\]", metadata)) for _, _, metadata in found]
    return {
        "layers of the engine": len(found),
        "kinds": ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()),
        "layers of a whole attention": sum(ATTENTION in name for name, _, _ in found),
        "layers with softmax": sum(_count(names, SOFTMAX) > 0 for names in joined),
        "layers with a norm": sum(_count(names, NORM) > 0 for names in joined),
    }


def _count(names: Iterable[str], pattern: str) -> int:
    return sum(re.search(pattern, name) is not None for name in names)


if __name__ == "__main__":
    app()

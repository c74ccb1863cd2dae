"""Where one image's time goes on OpenVINO, operator by operator, by the runtime's own counters; it knows no network by name.

python -m benchmarks.latency.operators [BUNDLE] [--batches 1,8 --rounds 40 --calls 20]

Each operator is timed by the mean of a round's calls, and of the rounds' means the median counts: rounds are short, so that
nothing else that runs here disturbs most of them. Shapes: `N` batch.
"""

from __future__ import annotations

import re
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from numpy.typing import NDArray

from base.command import run
from base.shipped import SHIPPED_BUNDLE
from benchmarks.latency.cases import requests
from benchmarks.latency.product_rate import product_rates
from evaluation.pages.sheet import Sheet
from evaluation.result import Result, cell, publish
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator
from runtime.openvino import CompiledGraph, OpenVinoBackend

WARM = 5
"""Calls before those that count: the first ones are slower, and counters begin with them."""
SIDE = 512
"""Of the products that all others are compared with: as short as the rounds."""
LOST_MS = 1e-3
"""Counters leave out the part of a microsecond, of each call and once more of their mean: half of it twice."""
PRODUCTS = "products: convolutions", "products: linear layers", "attention: products and softmax"
KINDS: Mapping[str, tuple[str, ...]] = {
    PRODUCTS[0]: ("Convolution", "GroupConvolution", "Deconvolution"),
    PRODUCTS[1]: ("FullyConnected",),
    PRODUCTS[2]: ("ScaledDotProductAttention", "MHA", "MatMul", "Softmax"),
    "norms: mean and variance": ("MVN", "GroupNormalization", "RMS"),
    "layout: order of the axes": ("Reorder", "Transpose", "DepthToSpace", "Reshape", "Concat", "Split", "StridedSlice"),
    "doubling of the sides": ("Interpolate",),
}
"""What is listed → the runtime's types of layers."""
ATTENTION = re.compile("softmax|attention|matmul", re.IGNORECASE)
"""In the name of an operator that the runtime has joined of others; a plan from a file tells the last one's alone."""
ELEMENTWISE = "elementwise: scales, activations, sums, casts"
"""Everything else, of which the runtime joins neighbours to one operator (its `Subgraph`)."""


@dataclass(frozen=True)
class Operator:
    """One executed node of a compiled graph."""

    kind: str
    """One of `KINDS`, or `ELEMENTWISE`."""
    what: str
    """A product's sides: `3×3 convolution, 128 → 128 channels at 8×8`; empty for all others."""
    gigaflop: float
    """Of products of weights, two operations a multiply-add."""
    milliseconds: float = 0.0


class CountedBackend(OpenVinoBackend):
    """The backend as it is, with the runtime's counters switched on, which begin anew in each."""

    def __init__(self, bundle: Bundle, options: BackendOptions) -> None:
        super().__init__(bundle, options)
        self._config["PERF_COUNT"] = True
        self.calls: Counter[CompiledGraph] = Counter()

    def run_piece(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """As the backend itself; the calls of each plan are counted."""
        self.calls[self._plan(graph, inputs)] += 1
        return super().run_piece(graph, inputs)

    def totals(self) -> dict[tuple[CompiledGraph, str], float]:
        """Plan and node → milliseconds of all its calls so far; nothing where a call is below a microsecond."""
        means = {
            (plan, node.node_name): 1e3 * node.real_time.total_seconds()
            for plan in self.calls
            for node in plan.request.profiling_info
        }
        return {key: self.calls[key[0]] * (mean + LOST_MS / 2) if mean else 0.0 for key, mean in means.items()}


@dataclass(frozen=True)
class Profile:
    """All operators of one call of a batch; those that move nothing take no time."""

    batch: int
    operators: Sequence[Operator]
    clock: float
    """Milliseconds of a call, counters on: median of all."""

    def share(self, some: Sequence[Operator]) -> float:
        """Of the time of all operators."""
        return _sum(some) / max(_sum(self.operators), 1e-9)


def profile(bundle: Bundle, batch: int, rounds: int, calls: int, threads: int | None = None) -> Profile:
    """Draw a batch by a plan that is opened anew in each round, and read what its operators took."""
    times, clock, known = (
        defaultdict[tuple[int, str], list[float]](list),
        list[float](),
        dict[tuple[int, str], Operator](),
    )
    for _ in range(rounds):
        backend = CountedBackend(bundle, BackendOptions(threads=threads))
        generator, drawn = Generator(bundle, backend), requests(bundle.manifest, batch)
        for _ in range(WARM):
            generator.generate(drawn)
        before = backend.totals()
        for _ in range(calls):
            began = time.perf_counter()
            generator.generate(drawn)
            clock.append(1e3 * (time.perf_counter() - began))
        places = {plan: place for place, plan in enumerate(backend.calls)}
        known = {(places[plan], name): one for plan in places for name, one in operators(plan)}
        for (plan, name), total in backend.totals().items():
            key = places[plan], name
            if key in known:
                times[key].append((total - before.get((plan, name), 0.0)) / calls + LOST_MS / 2 if total else 0.0)
    timed = [
        Operator(one.kind, one.what, one.gigaflop, max(0.0, statistics.median(times[key] or [0.0])))
        for key, one in known.items()
    ]
    return Profile(batch, timed, statistics.median(clock))


def operators(plan: CompiledGraph) -> Iterator[tuple[str, Operator]]:
    """Name and operator of each node that runs in every call: what depends on constants alone ran once, when it compiled."""
    constant: set[str] = set()
    for node in plan.compiled.get_runtime_model().get_ordered_ops():
        name, kind = node.get_friendly_name(), _said(node, "layerType")
        sources = [value.get_source_output().get_node().get_friendly_name() for value in node.inputs()]
        if kind == "Const" or (sources and constant.issuperset(sources)):
            constant.add(name)
        elif kind not in ("Input", "Output", "Parameter", "Result"):
            yield name, _operator(node, kind)


def _operator(node: Any, layer: str) -> Operator:
    listed = next((kind for kind, layers in KINDS.items() if layer in layers), ELEMENTWISE)
    if layer == "Subgraph" and ATTENTION.search(node.get_friendly_name() + _said(node, "originalLayersNames")):
        listed = PRODUCTS[2]  # a whole attention as one operator
    if listed not in PRODUCTS[:2] or len(node.inputs()) < 2:
        return Operator(listed, "", 0.0)
    given, weight, out = (list(value.get_shape()) for value in (*node.inputs()[:2], node.outputs()[0]))
    if listed == PRODUCTS[1]:
        rows, width = prod(out[:-1]), given[-1]
        return Operator(listed, f"linear layer, {width} → {out[-1]}, rows: {rows}", 2e-9 * prod(out) * width)
    window, sides = (" × ".join(map(str, shape[2:])) for shape in (weight[-4:], out))
    what = f"{window} convolution, {given[1]} → {out[1]} channels at {sides}"
    return Operator(listed, what, 2e-9 * prod(out) * prod(weight) / out[1])


def _said(node: Any, key: str) -> str:
    """What the runtime's description of a node says under a key."""
    value = node.get_rt_info()[key]
    return str(getattr(value, "value", value))


def result(profiles: Sequence[Profile], facts: Mapping[str, object], rate: float) -> Result:
    """A table of kinds over batches, and one of products for each batch. `rate`: TFLOP/s of large products."""
    heads, rows = ["operators"], []
    for one in profiles:
        heads += [f"batch {one.batch}: ms", "share", "operators"]
    for kind in (*KINDS, ELEMENTWISE):
        row = [kind]
        for one in profiles:
            some = [operator for operator in one.operators if operator.kind == kind]
            row += [f"{_sum(some):.3f}", f"{one.share(some):.0%}", _running(some)]
        rows.append(row)
    every, clock = ["all operators"], ["a call by the clock"]
    for one in profiles:
        every += [f"{_sum(one.operators):.3f}", "100%", _running(one.operators)]
        clock += [f"{one.clock:.3f}", "", ""]
    sheets = [Sheet("", heads, [*rows, every, clock]), *(products(one, rate) for one in profiles)]
    figures = {f"batch {one.batch}": [asdict(operator) for operator in one.operators] for one in profiles}
    clocks = {f"batch {one.batch}: ms by the clock": one.clock for one in profiles}
    return Result("Where one image's time goes", sheets, {**figures, **clocks, "TFLOP/s of products": rate}, facts)


def products(one: Profile, rate: float) -> Sheet:
    """Products of one shape together, the longest first: their share of the time, and how near they come to large products."""
    shapes = defaultdict[str, list[Operator]](list)
    for operator in one.operators:
        if operator.what:
            shapes[operator.what].append(operator)
    rows = []
    for what, some in sorted(shapes.items(), key=lambda item: -_sum(item[1])):
        reached = sum(operator.gigaflop for operator in some) / max(_sum(some), 1e-9)  # GFLOP a millisecond: TFLOP/s
        rows.append(
            [
                what,
                str(len(some)),
                f"{_sum(some):.3f}",
                f"{one.share(some):.1%}",
                cell(reached),
                f"{reached / rate:.0%}",
            ]
        )
    heads = ["product", "how many", "ms", "share", "TFLOP/s", f"of large products ({rate:.3g})"]
    return Sheet(f"Products in batches of {one.batch}", heads, rows)


def _running(some: Sequence[Operator]) -> str:
    return str(sum(operator.milliseconds > 0 for operator in some))


def _sum(some: Sequence[Operator]) -> float:
    return sum(operator.milliseconds for operator in some)


def main(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")] = SHIPPED_BUNDLE,
    batches: Annotated[str, typer.Option(help="Batch sizes.")] = "1,8",
    rounds: Annotated[int, typer.Option(help="Each with a plan that is opened anew.", min=1)] = 40,
    calls: Annotated[int, typer.Option(help="Of a round, after some that do not count.", min=1)] = 20,
    out: Annotated[Path | None, typer.Option(help="Stem of the result's files.")] = None,
) -> None:
    """Profile a bundle on torch's number of threads (OMP_NUM_THREADS); the last line of stdout is one JSON document."""
    opened, threads = open_bundle(bundle), torch.get_num_threads()
    precision = OpenVinoBackend(opened).precision
    before = product_rates(SIDE)[precision]
    profiles = [profile(opened, int(size), rounds, calls, threads) for size in batches.split(",")]
    facts: dict[str, object] = {"model": opened.manifest.model_name, "precision": precision, "threads": threads}
    facts |= {"N": f"{rounds} rounds of {calls} calls: medians of the rounds' means"}
    publish(result(profiles, facts, max(before, product_rates(SIDE)[precision])), out)


if __name__ == "__main__":
    run(main)

"""Shards drawn by the actors of a Ray cluster, one generator each; it knows nothing about images.

On a cluster the bundle, the checkout and the output lie on storage that every node mounts at the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext

from runtime.shards import Engine, Painter, Shard, ShardProgress


class Actor:
    """A painter in a process of its own."""

    def __init__(self, painter: Callable[[], Painter]) -> None:
        self._painter = painter()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Paint the shard of a row of Ray Data; its progress, which is then complete, as a row."""
        news = list(self._painter.paint(row["item"]))
        return {"images": sum(one.images for one in news), "shard": news[-1].shard, "digest": news[-1].digest}


def engine(actors: int | None = None) -> Engine:
    """`actors` painters at once; by default one a GPU, or without any one a node."""
    return partial(_paint, actors)


def _paint(actors: int | None, painter: Callable[[], Painter], shards: Sequence[Shard]) -> Iterator[ShardProgress]:
    ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False, logging_level="error")
    DataContext.get_current().enable_progress_bars = False  # ours counts images
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    actors = min(actors or gpus or len(ray.nodes()), len(shards))
    share = {"num_gpus": min(1.0, gpus / actors)} if gpus else {"num_cpus": resources["CPU"] // actors or 1}
    work = ray.data.from_items(list(shards), override_num_blocks=len(shards))
    painted = work.map(Actor, fn_constructor_args=(painter,), compute=ActorPoolStrategy(size=actors), **share)
    for row in painted.iter_rows():
        yield ShardProgress(**row)

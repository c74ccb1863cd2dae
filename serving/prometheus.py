"""The metrics, in Prometheus's format; it knows nothing about how images are drawn.

Requests are counted here by route. BentoML would count them by path, and so keep a row of every path that anybody asks for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

# BentoML's, for several workers: every count would go to a file and ask the system for the process it is in. This is the only
# worker, and prometheus_client reads it when it is imported.
os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter("ippo_requests", "Requests answered, or given up by their clients (499).", ["route", "status"])
LATENCY = Histogram(
    "ippo_request_seconds", "Time of a request, its body's arrival included.", ["route"], buckets=SECONDS
)
IMAGES = Counter("ippo_images", "Images drawn and encoded.", ["model"])
STAGES = Histogram(
    "ippo_stage_seconds", "Time of an image in the queue, the graphs, the encoder.", ["stage"], buckets=SECONDS
)
WAIT, DRAW, ENCODE = map(STAGES.labels, ("wait", "draw", "encode"))
BATCH = Histogram("ippo_batch_size", "Images drawn together.", buckets=(1, 2, 4, 8, 16, 32, 64))
REJECTED = Counter("ippo_rejected", "Requests that were not served.", ["reason"])
DROPPED = Counter("ippo_dropped_tokens", "Tokens of prompts that were too long for the model.")
SWAPS = Counter("ippo_swaps", "Models exchanged while serving.")
# To find a row by its labels takes longer than to count in it; there are as many as routes, statuses and models.
requests, latency, images = cache(REQUESTS.labels), cache(LATENCY.labels), cache(IMAGES.labels)


def text(now: Mapping[str, float]) -> str:
    """All metrics in Prometheus's text format. `now`: gauges by name, read at this moment, so that they need no upkeep."""
    gauges = [f"# TYPE ippo_{name} gauge\nippo_{name} {float(value):g}\n" for name, value in now.items()]
    return generate_latest().decode() + "".join(gauges)

"""What Prometheus is told about drawing; BentoML's own metrics count requests. It knows nothing about how things are drawn.

Imported by the worker alone, which finds in its environment where BentoML gathers the figures of its processes.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

IMAGES = Counter("ippo_images", "Images drawn and encoded.", ["model"])
STAGES = Histogram(
    "ippo_stage_seconds", "Time of an image in the queue, the graphs, the encoder.", ["stage"], buckets=SECONDS
)
BATCH = Histogram("ippo_batch_size", "Images drawn together.", buckets=(1, 2, 4, 8, 16, 32, 64))
REJECTED = Counter("ippo_rejected", "Requests that were not served.", ["reason"])
DROPPED = Counter("ippo_dropped_tokens", "Tokens of prompts that were too long for the model.")
SWAPS = Counter("ippo_swaps", "Models exchanged while serving.")


def gauges(**values: float) -> str:
    """What is true at this moment, in Prometheus's text format: read when asked, it needs no upkeep."""
    return "".join(f"# TYPE ippo_{name} gauge\nippo_{name} {float(value):g}\n" for name, value in values.items())

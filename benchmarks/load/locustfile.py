"""What locust's clients do: ask for a picture at random moments (Poisson arrivals), and measure; it knows nothing about
what is served."""

from __future__ import annotations

import json
import os
import random
from collections import Counter, defaultdict
from typing import Any

from locust import FastHttpUser, events, task

BODY = json.loads(os.environ["IPPO_LOAD_BODY"])
PAUSE = float(os.environ["IPPO_LOAD_PAUSE"])
"""Mean seconds between two requests of one client."""
statuses: Counter[str] = Counter()
times: defaultdict[str, list[float]] = defaultdict(list)
without_retry_after = 0


class Client(FastHttpUser):
    """Asks with a new seed each time."""

    def wait_time(self) -> float:
        return random.expovariate(1 / PAUSE)

    def on_start(self) -> None:
        self.wait()  # so that they do not all begin at once

    @task  # type: ignore[untyped-decorator]
    def draw(self) -> None:
        global without_retry_after
        body = {**BODY, "seed": random.randrange(2**32)}
        with self.client.post("/generate", json=body, catch_response=True) as answer:
            answer.success()
            statuses[str(answer.status_code)] += 1
            times[str(answer.status_code)].append(answer.request_meta["response_time"])
            if answer.status_code == 429 and "retry-after" not in answer.headers:
                without_retry_after += 1


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def tell(**_: Any) -> None:
    """The result as one line of JSON: percentiles in milliseconds for each status."""
    percentiles = {status: _percentiles(sorted(row)) for status, row in times.items()}
    print(json.dumps({"statuses": statuses, "ms": percentiles, "without_retry_after": without_retry_after}), flush=True)


def _percentiles(ordered: list[float]) -> dict[str, float]:
    last = len(ordered) - 1
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}
    return {name: round(ordered[round(last * share)], 2) for name, share in shares.items()}

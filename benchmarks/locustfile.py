"""What locust's clients do: ask for a picture, as often as one is answered; it knows nothing about what is served."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from typing import Any

from locust import FastHttpUser, events, task

BODY = json.loads(os.environ["IPPO_LOAD_BODY"])
statuses: Counter[str] = Counter()
times: list[float] = []
without_retry_after = 0


class Client(FastHttpUser):
    """A closed loop: the next request follows the last answer at once, a refusal too."""

    @task
    def draw(self) -> None:
        global without_retry_after
        body = {**BODY, "seed": random.randrange(2**32)}
        with self.client.post("/generate", json=body, catch_response=True) as answer:
            answer.success()
            statuses[str(answer.status_code)] += 1
            if answer.status_code == 200:
                times.append(answer.request_meta["response_time"])
            elif answer.status_code == 429 and "retry-after" not in answer.headers:
                without_retry_after += 1


@events.quitting.add_listener
def tell(**_: Any) -> None:
    """The result as one line of JSON."""
    ordered = sorted(times)
    percentiles = (
        {f"p{q}_ms": round(ordered[min(len(ordered) - 1, len(ordered) * q // 100)], 2) for q in (50, 90, 99)}
        if ordered
        else {}
    )
    print(
        json.dumps({"statuses": statuses, "refused_without_retry_after": without_retry_after, **percentiles}),
        flush=True,
    )

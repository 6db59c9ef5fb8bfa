"""What one person's question or hello takes on a quiet server, one after another over one connection each."""

import asyncio
import http.client
import json
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks.progress import Progress
from benchmarks.returning import Returner, come_back
from benchmarks.tally import checked
from tuppence_server import ids

QUESTIONS = 100
HELLOS = 15


def ask_ms(port: int, token: str, kind: str, body: Mapping[str, Any]) -> float:
    """Median time of a question over HTTP, from asking to the last byte; none may be refused."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken = []
    try:
        for _ in range(QUESTIONS):
            frame = json.dumps({"kind": kind, "id": ids.event_id(), "body": body})
            started = time.perf_counter()
            connection.request("POST", "/v1/frames", frame, {"authorization": f"Bearer {token}"})
            response = connection.getresponse()
            said = response.read()
            taken.append((time.perf_counter() - started) * 1000)
            if response.status != 200:
                raise RuntimeError(f"{kind} was refused: {said[:300]!r}")
    finally:
        connection.close()
    return median(taken)


def hello_ms(port: int, returner: Returner) -> float:
    """Median time from connecting to `synced`, for somebody who missed what the returner says."""
    taken = []
    for _ in range(HELLOS):
        report = checked(asyncio.run(come_back(port, [returner], Progress())))
        taken.append(report["synced_s"] * 1000)
    return median(taken)

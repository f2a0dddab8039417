"""How soon the API answers after its start, and the memory it then holds. One JSON line."""

import json
import statistics

from support.memory import memory_mb
from support.running_service import running_api

STARTS = 5


def main() -> None:
    seconds, megabytes = [], []
    for _ in range(STARTS):
        with running_api() as service:
            seconds.append(service.seconds_to_answer)
            megabytes.append(memory_mb(service.pid))
    line = {
        "benchmark": "api_start",
        "starts": STARTS,
        "seconds_median": round(statistics.median(seconds), 2),
        "memory_mb_median": round(statistics.median(megabytes), 1),
        "goal_seconds": 2.0,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()

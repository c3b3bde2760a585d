"""What a digest of passing bytes costs: `python -m bench.digests`; ns for one update, the least of several rounds.

The last line is what the proxy spends on one answer that comes in one piece: both digests and their comparison.
"""

from __future__ import annotations

import timeit
import zlib
from collections.abc import Callable

from xxhash import xxh3_64

from bench.report import markdown, number
from proxy.witness import Witness

SIZES = (64, 1024, 16384)
RUNS = 5000


def cost_of(work: Callable[[], object]) -> float:
    """ns for one call."""
    return min(timeit.repeat(work, number=RUNS, repeat=5)) / RUNS * 1e9


def updates(data: bytes) -> dict[str, Callable[[], object]]:
    digest = xxh3_64()
    return {
        "zlib.crc32": lambda: zlib.crc32(data, 1),
        "zlib.adler32": lambda: zlib.adler32(data, 1),
        "xxhash XXH3": lambda: digest.update(data),
    }


def witnessed(data: bytes) -> bool:
    witness = Witness()
    witness.came(data)
    witness.left(data)
    return bool(witness.came_digest() == witness.left_digest())


def table() -> str:
    bodies = [bytes(size) for size in SIZES]
    lines = [[name, *(number(cost_of(updates(data)[name])) for data in bodies)] for name in updates(b"")] + [
        ["one whole answer", *(number(cost_of(lambda data=data: witnessed(data))) for data in bodies)]
    ]  # type: ignore[misc]
    return markdown(["digest, ns", *(f"{size} B" for size in SIZES)], lines)


if __name__ == "__main__":
    print(table())

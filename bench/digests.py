"""What a digest of passing bytes costs: `python -m bench.digests`; ns for one update, the least of several rounds.

The last lines are what the proxy spends on one answer, in one piece and in two: its digests and their comparison.
"""

from __future__ import annotations

import timeit
import zlib
from collections.abc import Callable

from xxhash import xxh3_64, xxh3_64_intdigest

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


def whole(data: bytes) -> bool:
    return bool(xxh3_64_intdigest(data) == xxh3_64_intdigest(data))


def in_two_pieces(data: bytes) -> bool:
    witness = Witness()
    for half in (data[: len(data) // 2], data[len(data) // 2 :]):
        witness.came(half)
        witness.left(half)
    return bool(witness.came_digest() == witness.left_digest())


def answers(data: bytes) -> dict[str, Callable[[], object]]:
    return {"one answer, whole": lambda: whole(data), "one answer, in two pieces": lambda: in_two_pieces(data)}


def table() -> str:
    works = [updates(bytes(size)) | answers(bytes(size)) for size in SIZES]
    lines = [[name, *(number(cost_of(work[name])) for work in works)] for name in works[0]]
    return markdown(["digest, ns", *(f"{size} B" for size in SIZES)], lines)


if __name__ == "__main__":
    print(table())

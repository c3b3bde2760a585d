"""What the stages between decoding and redaction cost: `python -m bench.stages`.

Time for one exchange whose question and answer have 1 KB each, and what the list prices take to load.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import msgspec

from pipeline.records import Exchange, Message, Part, Usage
from processors.cost import Pricer, Pricing
from processors.usage import TokenCounter
from processors.usage_watch import UsageWatch
from tests.support.records import an_exchange, answer, reported

ROUNDS = 5000
TEXT = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text()
ASKED = (Message("user", (Part("text", content=TEXT[:1024]),)),)
PLAIN = an_exchange(input_messages=ASKED, output_messages=(answer(TEXT[1024:2048]),), usage=reported(250, 260))
SILENT = msgspec.structs.replace(PLAIN, usage=Usage())
DETAILED = msgspec.structs.replace(
    PLAIN,
    usage=reported(250, 260, cache_read=100, reasoning=50, audio__input_tokens=20),
    attributes={"openai.api.type": "responses", "openai.response.service_tier": "flex"},
)


def main() -> None:
    before, began = resident(), perf_counter()
    pricer = Pricing().pricer()
    print(f"list prices: {perf_counter() - began:.2f} s to load, {resident() - before:.0f} MB")
    counter = TokenCounter(estimate=True)
    watch = UsageWatch(print, print)
    show("cost, price known", lambda: pricer.price(PLAIN))
    show("cost, price known, tier and details", lambda: pricer.price(DETAILED))
    show("cost, price to be found", lambda: found_anew(pricer, PLAIN), 200)
    show("usage reported, model new", lambda: TokenCounter(estimate=True).complete(PLAIN), 200)
    show("usage reported, model known", lambda: counter.complete(PLAIN))
    show("usage estimated", lambda: counter.complete(SILENT))
    show("usage watched", lambda: watch.observe(PLAIN))


def found_anew(pricer: Pricer, exchange: Exchange) -> None:
    pricer._found.clear()
    pricer.price(exchange)


def show(name: str, work: Callable[[], object], rounds: int = ROUNDS) -> None:
    for _ in range(rounds):
        work()
    began = perf_counter()
    for _ in range(rounds):
        work()
    print(f"{name:<40}{(perf_counter() - began) / rounds * 1e6:8.1f} us")


def resident() -> float:
    """MB of memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


if __name__ == "__main__":
    main()

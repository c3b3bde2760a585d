"""What is learned of an exchange before its texts are redacted: context, tokens, cost, who asked.

The steps remember what they have seen (how models count, prices, conversations), so a reload keeps those whose options
stay the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from pipeline.records import Capture, Exchange
from pipeline.telemetry import Observation
from processors.identify import Identifier
from processors.usage import TokenCounter
from processors.usage_watch import UsageWatch, Way
from sidelight.components import Components

log = logging.getLogger("sidelight.usage")


class Description:
    """The steps, each with its memory; called for every exchange in the order of its end."""

    def __init__(self, components: Components, salt: bytes, before: Description | None = None) -> None:
        self._components = components
        self._context = components.context
        self._pricer = components.cost.pricer()  # anew, since the file of prices may have changed
        old = before._components if before else None
        same = before if before and old and old.usage == components.usage else None
        self._counter: TokenCounter = same._counter if same else components.usage.counter()
        same = before if before and old and old.identify == components.identify else None
        self._identifier: Identifier = same._identifier if same else components.identify.identifier(salt)
        self._watch: UsageWatch = before._watch if before else UsageWatch(tell_lost, tell_found)

    def __call__(self, capture: Capture, exchange: Exchange) -> Exchange:
        """`identify` comes last: it empties the claims, which the others read."""
        exchange = self._counter.complete(self._context.extract(capture, exchange))
        self._watch.observe(exchange)
        return self._identifier.identify(capture, self._pricer.price(exchange))

    def lost(self) -> Iterator[Observation]:
        """1 for each way of calling whose usage used to come and stopped."""
        for way in self._watch.lost():
            yield 1, tuple(way._asdict().items())


def tell_lost(way: Way) -> None:
    """Said once: counts and costs are estimates from now on."""
    log.warning("%s stopped reporting usage: its tokens are estimated until it does again", name_of(way))


def tell_found(way: Way) -> None:
    """And once when it is over."""
    log.info("%s reports usage again", name_of(way))


def name_of(way: Way) -> str:
    """`openai_chat of upstream openai, streamed`."""
    return f"{way.wire} of upstream {way.upstream}{', streamed' if way.stream else ''}"

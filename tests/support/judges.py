"""A judge that says what a test tells it to say, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pipeline.budget import Limit, Spend
from pipeline.judging import Hours, Verdict
from pipeline.records import CalibrationState, EvaluatedExchange, Evaluation, Exchange

ONE_CALL = Spend(1, 100, 0.01)
GOOD = Verdict((Evaluation("coherence", 5.0, "pass", "5: clear"),), ONE_CALL)
Script = Callable[[Exchange], Awaitable[Verdict]]


async def good(exchange: Exchange) -> Verdict:
    """The same verdict on everything."""
    return GOOD


@dataclass
class ScriptedJudge:
    """What pipeline.judging.Judge asks for; `script` gives or raises what the endpoint would."""

    script: Script = good
    limits: tuple[Limit, ...] = ()
    always: tuple[str, ...] = ()
    open: Hours | None = None
    attempts: int = 1
    concurrency: int = 4
    queue: int = 1000
    max_wait: float = 86_400.0
    requires: tuple[str, ...] = ("response_text",)
    version: str = "v1"
    calibration_state: CalibrationState = "uncalibrated"
    weight: float = 1.0
    asked: list[str] = field(default_factory=list)  # ids of exchanges
    now: int = 0
    most_at_once: int = 0

    def selector(self) -> Callable[[EvaluatedExchange], float]:
        return lambda evaluated: self.weight

    def key(self, exchange: Exchange) -> str:
        return exchange.id

    def estimate(self, exchange: Exchange) -> Spend:
        return ONE_CALL

    async def judge(self, exchange: Exchange) -> Verdict:
        self.asked.append(exchange.id)
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        try:
            return await self.script(exchange)
        finally:
            self.now -= 1

"""Evaluations as scores of their traces in Langfuse, which takes them by its own API alone.

The spans themselves go there by an `otlp` exporter. Source: Langfuse 4.16, POST /api/public/scores.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from types import TracebackType
from typing import Any, ClassVar, Self

from config.settings import Duration
from exporters.json_posts import JsonPosts, checked
from exporters.outcome import judgements
from pipeline.errors import Permanent
from pipeline.records import EvaluatedExchange, Evaluation

AT_ONCE = 8  # requests: a score is one


@dataclass(frozen=True)
class LangfuseScores:
    """Scores traces in Langfuse with what evaluators said of them."""

    durable: ClassVar[bool] = True
    content: ClassVar[str] = "off"  # of what it waits with on disk: it tells no texts

    endpoint: str = "https://cloud.langfuse.com"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # values are secrets
    timeout: Duration = 10.0  # each request

    def __post_init__(self) -> None:
        checked(self.endpoint)

    @cached_property
    def _posts(self) -> JsonPosts:
        return JsonPosts("scores", self.headers, self.timeout)

    async def __aenter__(self) -> Self:
        await self._posts.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._posts.__aexit__(kind, error, traceback)

    async def export(self, batch: Sequence[EvaluatedExchange]) -> None:
        """Tell every score; told twice, one takes its own place. Of what is refused only that is lost."""
        free = asyncio.Semaphore(AT_ONCE)

        async def tell(evaluated: EvaluatedExchange) -> str | None:
            async with free:
                return await self._tell(evaluated)

        outcomes = await asyncio.gather(*map(tell, batch), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        if refused := [outcome for outcome in outcomes if isinstance(outcome, str)]:
            raise Permanent("; ".join(dict.fromkeys(refused)), len(refused))

    async def _tell(self, evaluated: EvaluatedExchange) -> str | None:
        """The scores of one exchange; why one of them was refused for good."""
        url = f"{checked(self.endpoint)}/api/public/scores"
        refusal = None
        for score in scores(evaluated):
            try:
                await self._posts.post(url, score)
            except Permanent as error:
                refusal = str(error)
        return refusal


def scores(evaluated: EvaluatedExchange) -> Iterator[dict[str, Any]]:
    """One for each evaluation that learned something: its score, or else its label."""
    exchange = evaluated.exchange
    for entry in evaluated.entries:
        for position, evaluation in enumerate(judgements(entry)):
            if evaluation.error_type is None:
                yield {
                    "id": blake2b(f"{exchange.id}/{entry.evaluator}/{position}".encode(), digest_size=16).hexdigest(),
                    "traceId": exchange.trace.trace_id,
                    "observationId": exchange.trace.client_span_id,
                    "name": evaluation.name,
                    **value_of(evaluation),
                }


def value_of(evaluation: Evaluation) -> dict[str, Any]:
    comment = {"comment": evaluation.explanation} if evaluation.explanation else {}
    if evaluation.score_value is not None:
        return {"dataType": "NUMERIC", "value": evaluation.score_value, **comment}
    return {"dataType": "CATEGORICAL", "value": evaluation.score_label or "", **comment}

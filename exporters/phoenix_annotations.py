"""Evaluations as annotations of their spans in Arize Phoenix, where its pages filter and chart by them.

The spans themselves go there by an `otlp` exporter. An annotation that comes before its span waits there for it.
Source: Phoenix 20, POST /v1/span_annotations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any, ClassVar, Self

from config.settings import Duration
from exporters.json_posts import JsonPosts, checked
from exporters.outcome import judgements, weight_of
from pipeline.records import FEEDBACK, EvaluatedExchange, LedgerEntry


@dataclass(frozen=True)
class PhoenixAnnotations:
    """Annotates spans in Arize Phoenix with what evaluators said of them."""

    durable: ClassVar[bool] = True
    content: ClassVar[str] = "off"  # of what it waits with on disk: it tells no texts

    endpoint: str = "http://127.0.0.1:6006"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # values are secrets
    timeout: Duration = 10.0  # each request

    def __post_init__(self) -> None:
        checked(self.endpoint)

    @cached_property
    def _posts(self) -> JsonPosts:
        return JsonPosts("annotations", self.headers, self.timeout)

    async def __aenter__(self) -> Self:
        await self._posts.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._posts.__aexit__(kind, error, traceback)

    async def export(self, batch: Sequence[EvaluatedExchange]) -> None:
        """Annotate every span of the batch, in one request; told twice, an annotation takes its own place."""
        if told := [annotation for evaluated in batch for annotation in annotations_of(evaluated)]:
            await self._posts.post(f"{checked(self.endpoint)}/v1/span_annotations", {"data": told})


def annotations_of(evaluated: EvaluatedExchange) -> Iterator[dict[str, Any]]:
    """One for each evaluation that learned something."""
    exchange = evaluated.exchange
    for entry in evaluated.entries:
        for position, evaluation in enumerate(judgements(entry)):
            if evaluation.error_type is None:
                yield {
                    "span_id": exchange.trace.client_span_id,
                    "name": evaluation.name,
                    "annotator_kind": annotator(entry),
                    "result": {
                        "label": evaluation.score_label,
                        "score": evaluation.score_value,
                        "explanation": evaluation.explanation,
                    },
                    "identifier": f"{entry.evaluator}/{position}",
                    "metadata": {
                        "sidelight.exchange.id": exchange.id,
                        "sidelight.sampling.weight": weight_of(evaluated, entry),
                    },
                }


def annotator(entry: LedgerEntry) -> str:
    """Who says so, in Phoenix's words; a judge's outcomes say whether it is calibrated."""
    if entry.evaluator.startswith(FEEDBACK):
        return "HUMAN"
    return "CODE" if entry.calibration is None else "LLM"

"""What counts as an error, by the conventions' rules: the same for spans and metrics.

A client that leaves is not an error of the span. A status is an error of the SERVER span from 500 on, of a CLIENT
span from 400 on; a response that broke off is one for both.
"""

from __future__ import annotations

from exporters.semconv import OTHER
from pipeline.records import EvaluatedExchange, Evaluation, Exchange, LedgerEntry

CANCELLED = "client_disconnect"


def was_cancelled(exchange: Exchange) -> bool:
    """Did the client leave first?"""
    return exchange.error_type == CANCELLED


def http_error(exchange: Exchange, errors_from: int) -> str | None:
    """`error.type` of the HTTP layer: the status, or what broke the transfer."""
    status = exchange.http.status
    if status is not None and status >= errors_from:
        return str(status)
    if was_cancelled(exchange) or (status is not None and exchange.complete):
        return None
    return exchange.error_type or OTHER


def genai_error(exchange: Exchange) -> str | None:
    """`error.type` of the GenAI operation."""
    return None if was_cancelled(exchange) else exchange.error_type


def judgements(entry: LedgerEntry) -> tuple[Evaluation, ...]:
    """What one evaluator has to tell: its evaluations, or that it failed; nothing when it was skipped."""
    if entry.outcome == "skipped":
        return ()
    if entry.outcome == "error" and not entry.evaluations:
        return (Evaluation(entry.evaluator, error_type=entry.reason or OTHER),)
    return entry.evaluations


def weight_of(evaluated: EvaluatedExchange, entry: LedgerEntry) -> float:
    """How many exchanges this outcome stands for: a judge is asked about a share of those that are kept."""
    return evaluated.weight if entry.weight is None else entry.weight

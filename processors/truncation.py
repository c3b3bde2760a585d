"""Did the answer end before the model was done, and who cut it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.records import Evaluation, Exchange
from processors.options import check_share


@dataclass(frozen=True, slots=True)
class Truncation:
    """Finds answers cut by the token limit (max_tokens), the upstream (upstream_cut) or the client (client_abort)."""

    threshold: float = 0.0  # fails when a larger share of the choices is cut

    requires: ClassVar[tuple[str, ...]] = ("genai",)
    scale: ClassVar[str] = "share of choices cut"

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        if exchange.http.status is None or exchange.http.status >= 400:
            return ()
        kind, share = _cut(exchange)
        return (Evaluation("truncation", share, "fail" if share > self.threshold else "pass", kind),)


def _cut(exchange: Exchange) -> tuple[str | None, float]:
    """What cut the answer, and the share of its choices that lack their end."""
    reasons = [message.finish_reason for message in exchange.output_messages]
    if not exchange.complete:
        kind = "client_abort" if exchange.error_type == "client_disconnect" else "upstream_cut"
        unfinished = sum(reason in (None, "length") for reason in reasons)
        return kind, unfinished / len(reasons) if unfinished else 1.0
    if limited := reasons.count("length"):
        return "max_tokens", limited / len(reasons)
    return None, 0.0

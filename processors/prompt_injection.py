"""Is the user trying to take over the instructions? Known ways of doing so, in what the user wrote last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.records import Evaluation, Exchange, text_of
from processors.injection import TAKEOVER, Detector, judgement
from processors.options import check_share

DETECTOR = Detector(TAKEOVER)


@dataclass(frozen=True, slots=True)
class PromptInjection:
    """Scores how surely the user wants other instructions to hold, by the families of known phrases."""

    threshold: float = 0.5  # fails at this score
    all_turns: bool = False  # look at every message of the user's, not only at the last

    requires: ClassVar[tuple[str, ...]] = ("content",)
    scale: ClassVar[str] = "0 … 1 sure"

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        texts = [
            text for message in exchange.input_messages if message.role == "user" and (text := text_of((message,)))
        ]
        if not texts:
            return ()
        looked_at = texts if self.all_turns else texts[-1:]
        return (judgement("prompt_injection", DETECTOR.found("\n".join(looked_at)), self.threshold),)

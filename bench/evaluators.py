"""What each evaluator needs, costs, and gets right: `python -m bench.evaluators DATA_FOLDER` writes docs/evaluators.md.

Cost: CPU us an exchange with a question and an answer of a kilobyte each, the median over texts of four kinds. What is
said of inputs comes from the registry, what is right from labelled data. scripts/fetch-model brings the model first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.evaluator_accuracy import Measured, f1_of, measured_on
from bench.measure import percentile
from bench.report import markdown, number
from pipeline.contracts import Processor
from pipeline.records import Exchange, Message, Part
from pipeline.versions import version_of
from processors import PROCESSORS
from processors.embeddings import embedder
from processors.redact import Redact
from sidelight.intervals import wilson
from sidelight.show import first_line
from tests.backends.minilm import installed
from tests.support.records import an_exchange, answer

PAGE = Path(__file__).parents[1] / "docs" / "evaluators.md"
ROUND = 20_000_000  # ns of CPU for each evaluator and text
SIZE = 1024  # characters
HEAD = ("evaluator", "what it says", "needs", "scale", "version", "CPU us")
ACCURACY_HEAD = ("evaluator", "asked about", "n", "to find", "precision", "recall", "F1", "beside it")
EXPECTING = ("reference", "similarity")  # have work only where an answer is expected, so not in traffic

PAGE_TEXT = """# Evaluators

What ships, what each needs, what it costs, and how often it is right where there are labels to ask. All of it judges
without a model; [judges](judges.md) are models. `python -m bench.evaluators DATA_FOLDER` writes this page. Options
are in [configuration](configuration.md#processors), how to add one in [extending](extending.md#an-evaluator);
`sidelight components` lists all that is installed, and measures what each costs where it runs.

{table}

On live traffic all together take {total} us of CPU for a question, an answer and a context of a kilobyte each, on one
core; `reference` and `similarity` have work only where an answer is expected, in files. *Needs* are the inputs
without which an evaluator is skipped with `missing_input`. Costs are of the default `method: lexical`. By
`embeddings` a text of 200 characters that the model has not read lately costs {text_cost} ms; of an exchange
`answer_relevancy` reads two, the others up to 32. A version is the evaluator's edition; with options of one's own a
digest of them is added.

## How often they are right

Of what there was to find, and of what was found: with 95 % intervals (Wilson). Where data was looked at or thresholds
were chosen, the figures are of the other half. Data with labels of other people is named in the second column; own
cases are in [bench/cases](../bench/cases), the half that was written before anybody looked: whoever writes cases and
evaluators uses the same words in both, so these figures flatter.

{accuracy}

What an evaluator is silent about counts neither way. `redaction` is what `pii` and `secrets` count; beside it
precision, recall and F1 of Presidio's pattern recognisers on the same texts (`python -m bench.presidio DATA_FOLDER`).
Toxicity is found by words alone, and was made not to bother sober texts: no false alarm in 416 answers of dialogues,
but two of three toxic comments pass. The answers about texts that `groundedness` is asked about mostly copy, which
words alone tell well; in answers that say the same in other words, words find more made up than there is, and
`embeddings` less. Judges' accuracy is that of the model that is asked: `sidelight calibrate` measures it on labels of
yours ([calibration](calibration.md)).
"""

PROSE = (
    "The policy allows employees to carry over five days of unused leave into the next calendar year, provided that "
    "the manager agrees in writing before December. Requests go through the portal, where the balance is shown too. "
)
GERMAN = (
    "Die Regelung erlaubt es, fünf nicht genommene Urlaubstage in das nächste Kalenderjahr zu übertragen, sofern die "
    "Führungskraft vor Dezember schriftlich zustimmt. Anträge gehen über das Portal, das auch den Stand zeigt. "
)
CODE = "```python\ndef carried_over(days: int, agreed: bool) -> int:\n    return min(days, 5) if agreed else 0\n```\n"
JSON = '{"title": "Leave", "tags": ["policy", "portal"], "minutes": 12, "summary": "Five days carry over."}, '
TEXTS = {"prose": PROSE, "German": GERMAN, "code": CODE, "JSON": JSON}


def of_a_kilobyte(text: str) -> str:
    return (text * (SIZE // len(text) + 1))[:SIZE]


def exchanges() -> list[Exchange]:
    """Redacted, as evaluators see them; what was asked is what is answered, twice over."""
    redact = Redact().redact
    question = "How many days of unused leave does the policy allow employees to carry over into the next year? "
    return [
        redact(
            an_exchange(
                input_messages=(Message("user", (Part("text", content=of_a_kilobyte(question + text)),)),),
                output_messages=(answer(of_a_kilobyte(text)),),
                ground_truth=of_a_kilobyte(PROSE),
                context=(of_a_kilobyte(PROSE),),
            )
        )
        for text in TEXTS.values()
    ]


def cost_of(processor: Processor, judged: Sequence[Exchange], clock: Callable[[], int] = time.process_time_ns) -> float:
    """CPU us of one exchange; the first time warms up."""
    costs = []
    for exchange in judged:
        processor.process(exchange)
        began, runs = clock(), 0
        while (spent := clock() - began) < ROUND:
            processor.process(exchange)
            runs += 1
        costs.append(spent / 1000 / runs)
    return percentile(sorted(costs), 0.5) or 0.0


def text_cost(clock: Callable[[], int] = time.process_time_ns) -> float:
    """CPU ms of the model for a text of some 50 word pieces that it has not read before."""
    model = embedder("embeddings")
    assert model
    texts = [f"{number} {PROSE}"[:200] for number in range(40)]
    model.vectors(["warm"])
    began = clock()
    for text in texts:
        model.vectors([text])
    return (clock() - began) / 1_000_000 / len(texts)


def page(costs: Mapping[str, float], measured: Sequence[Measured], text_cost: float) -> str:
    rows = [
        [f"`{name}`", first_line(kind.__doc__), needs(kind), scale_of(kind), version_of(kind()), number(costs[name])]
        for name, kind in PROCESSORS.items()
    ]
    return PAGE_TEXT.format(
        table=markdown(list(HEAD), rows),
        accuracy=markdown(list(ACCURACY_HEAD), accuracy_rows(measured)),
        total=number(sum(cost for name, cost in costs.items() if name not in EXPECTING)),
        text_cost=number(text_cost),
    )


def scale_of(kind: type[Processor]) -> str:
    return str(getattr(kind, "scale", ""))


def needs(kind: type[Processor]) -> str:
    return ", ".join(f"`{name}`" for name in kind.requires)


def accuracy_rows(measured: Sequence[Measured]) -> list[list[str]]:
    return [
        [
            f"`{each.evaluator}`",
            each.on,
            f"{sum(each.score):,}" + (f" (silent about {each.silent:,})" if each.silent else ""),
            f"{each.score.hits + each.score.misses:,}",
            with_interval(each.score.hits, each.score.hits + each.score.false_alarms),
            with_interval(each.score.hits, each.score.hits + each.score.misses),
            f"{f1_of(each.score):.3f}",
            each.beside,
        ]
        for each in measured
    ]


def with_interval(hits: int, of: int) -> str:
    """A share with its 95 % interval."""
    if not of:
        return "–"
    low, high = wilson(hits, of)
    return f"{hits / of:.3f} ({low:.3f}–{high:.3f})"


def main(folder: Path) -> None:
    judged = exchanges()
    costs = {name: cost_of(kind(), judged) for name, kind in PROCESSORS.items()}
    with installed():
        PAGE.write_text(page(costs, measured_on(folder), text_cost()), "utf-8")
    print(PAGE.read_text("utf-8"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bench.evaluators DATA_FOLDER")
    main(Path(sys.argv[1]))

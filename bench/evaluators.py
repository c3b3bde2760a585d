"""What each evaluator needs, costs, and gets right: `python -m bench.evaluators DATA_FOLDER` writes docs/evaluators.md.

Cost: CPU us an exchange with a question and an answer of a kilobyte each, the median over texts of four kinds. What is
said of inputs comes from the registry, what is right from labelled data. scripts/fetch-model brings the model first.
"""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

from bench.measure import percentile
from bench.report import markdown, number
from pipeline.contracts import Processor
from pipeline.records import Exchange, Message, Part
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
HEAD = ("evaluator", "what it says", "needs", "CPU us", "accuracy")

PAGE_TEXT = """# Evaluators

What ships, what each needs, what it costs, and how often it is right where there are labels to ask.
`python -m bench.evaluators DATA_FOLDER` writes this page. Options are in [configuration](configuration.md#processors),
how to add one in [extending](extending.md#an-evaluator).

{table}

All together {total} us of CPU for a question and an answer of a kilobyte each, on one core; `reference` and
`similarity` have work only where an answer is expected, so not in traffic. *Needs* are the inputs without which an
evaluator is skipped with `missing_input`. Accuracy is of the label `fail`, with 95 % intervals; that of refusals and of
redaction is in [performance](performance.md).

Costs are of the default `method: lexical`. By `embeddings` a text of 200 characters that the model has not read lately
costs {text_cost} ms; of an exchange `answer_relevancy` reads two, the others up to 32.

`answer_relevancy` is asked about people's questions with their own answers and with somebody else's; `groundedness`
about answers that people called fully attributable to a text or not (generic ones left out), the latter being what it
shall find. Half of each set is asked about; by the other half the thresholds were chosen. The answers about texts
mostly copy, which words alone tell well. In an answer that says the same in other words, words find more made up than
there is, and `embeddings` less.
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


def page(costs: Mapping[str, float], accuracies: Mapping[str, str], text_cost: float) -> str:
    rows = [
        [f"`{name}`", first_line(kind.__doc__), needs(kind), number(costs[name]), accuracies.get(name, "")]
        for name, kind in PROCESSORS.items()
    ]
    return PAGE_TEXT.format(
        table=markdown(list(HEAD), rows), total=number(sum(costs.values())), text_cost=number(text_cost)
    )


def needs(kind: type[Processor]) -> str:
    return ", ".join(f"`{name}`" for name in kind.requires)


def relevancy_accuracy(folder: Path, **options: object) -> str:
    """People's questions with the answers that they got, and with somebody else's: is an answer off its subject?

    Every second pair: by the others the thresholds were chosen.
    """
    pairs = [
        (row["prompt"], row["completion"])
        for file in sorted((folder / "refusal").glob("*.csv"))
        for row in csv.DictReader(file.read_text("utf-8").splitlines(keepends=True))
        if row["final_label"].startswith("1")  # answered in full
    ]
    others = [answered for _, answered in pairs]
    Random("relevancy").shuffle(others)
    judge = PROCESSORS["answer_relevancy"](**options)
    own = [fails(judge, asked, answered) for asked, answered in pairs[1::2]]
    foreign = [fails(judge, asked, answered) for (asked, _), answered in zip(pairs[1::2], others[1::2], strict=True)]
    decided = sum(each is not None for each in (*own, *foreign))
    told = told_as(foreign.count(True), own.count(True), foreign.count(False), decided)
    silent = len(own) + len(foreign) - decided
    return f"{told}; nothing is said of {silent} of {len(own) + len(foreign)}" if silent else told


def groundedness_accuracy(folder: Path, **options: object) -> str:
    """Answers with the knowledge that they were to use: is one not fully attributable to it, as people say?

    Every second row: by the others the thresholds were chosen. Generic answers claim nothing: neither right nor wrong.
    """
    rows = [
        row
        for file in sorted((folder / "groundedness").glob("*.tsv"))
        for row in list(csv.DictReader(file.read_text("utf-8").splitlines(keepends=True), delimiter="\t"))[1::2]
    ]
    judge = PROCESSORS["groundedness"](**options)
    said = [(row["begin_label"], fails(judge, row["message"], row["response"], row["knowledge"])) for row in rows]
    counts = Counter(said)
    made_up, attributable = "Not fully attributable", "Fully attributable"
    decided = sum(counts[label, fail] for label in (made_up, attributable) for fail in (True, False))
    return told_as(counts[made_up, True], counts[attributable, True], counts[made_up, False], decided)


def fails(judge: Processor, asked: str, answered: str, *context: str) -> bool | None:
    """None where nothing is said."""
    question = Message("user", (Part("text", content=asked),))
    exchange = an_exchange(input_messages=(question,), output_messages=(answer(answered),), context=context)
    said = judge.process(exchange)
    return said[0].score_label == "fail" if said else None


def by_both(accuracy: Callable[..., str], folder: Path) -> str:
    """By words, and by meaning."""
    return f"lexical, {accuracy(folder)}. embeddings, {accuracy(folder, method='embeddings')}"


def told_as(hits: int, alarms: int, misses: int, n: int) -> str:
    """Precision and recall with their 95 % intervals, and F1."""
    precision, recall = hits / (hits + alarms), hits / (hits + misses)
    f1 = 2 * precision * recall / (precision + recall)
    (low_p, high_p), (low_r, high_r) = wilson(hits, hits + alarms), wilson(hits, hits + misses)
    return (
        f"n {n:,}: precision {precision:.3f} ({low_p:.3f}–{high_p:.3f}), "
        f"recall {recall:.3f} ({low_r:.3f}–{high_r:.3f}), F1 {f1:.3f}"
    )


def main(folder: Path) -> None:
    judged = exchanges()
    costs = {name: cost_of(kind(), judged) for name, kind in PROCESSORS.items()}
    with installed():
        accuracies = {
            "answer_relevancy": by_both(relevancy_accuracy, folder),
            "groundedness": by_both(groundedness_accuracy, folder),
        }
        PAGE.write_text(page(costs, accuracies, text_cost()), "utf-8")
    print(PAGE.read_text("utf-8"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bench.evaluators DATA_FOLDER")
    main(Path(sys.argv[1]))

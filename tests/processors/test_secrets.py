from __future__ import annotations

from typing import Any

import pytest

from pipeline.records import Evaluation
from processors.redact import Redact
from processors.secrets import Secrets
from tests.support.records import an_exchange, answer

FINDINGS = {"input": {"EMAIL": 1, "API_KEY": 1}, "output": {"PHONE": 1, "API_KEY": 2}}


def judged(findings: Any = FINDINGS, **options: Any) -> Evaluation:
    (evaluation,) = Secrets(**options).process(an_exchange(findings=findings))
    return evaluation


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Your key is sk-proj-abcdefghij0123456789.", 1),
        ("AKIAIOSFODNN7EXAMPLE and ghp_abcdefghijklmnopqrst0123456789", 2),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", 1),
        ("password=hunter2hunter2", 1),
        ("Das Passwort steht nicht hier. api_key: a1b2c3d4e5", 1),
        ("postgres://ada:s3cr3t@localhost/loans", 1),
        ("Authorization: Bearer abcdef0123456789abcdef", 1),
        ("Write to ada@example.com or call +44 20 7946 0958.", 0),
        ("The card is 4111 1111 1111 1111.", 0),
        ("Set API_KEY=$API_KEY in the environment.", 0),
        ("The password must have eight characters.", 0),
        ("Le mot de passe est secret.", 0),
        ("秘密のキーはありません。", 0),
    ],
)
def test_what_redaction_takes_out_is_counted(text: str, count: int) -> None:
    exchange = Redact().redact(an_exchange(output_messages=(answer(text),)))
    (evaluation,) = Secrets().process(exchange)
    assert evaluation.score_value == count
    assert evaluation.score_label == ("fail" if count else "pass")


def test_personal_data_is_left_to_pii() -> None:
    assert judged() == Evaluation("secrets", 2.0, "fail", "API_KEY 2")
    assert judged({"output": {"EMAIL": 3}}) == Evaluation("secrets", 0.0, "pass")


@pytest.mark.parametrize(("side", "count"), [("output", 2), ("input", 1), ("both", 3), ("new", 0)])
def test_each_side_counts_its_own(side: str, count: int) -> None:
    assert judged(side=side).score_value == count


def test_fewer_than_the_threshold_pass() -> None:
    assert judged(threshold=3).score_label == "pass"


def test_a_kind_of_ones_own_can_be_a_secret() -> None:
    assert judged({"output": {"BADGE": 1}}, kinds=("API_KEY", "BADGE")).explanation == "BADGE 1"


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="side is 'left'"):
        judged(side="left")
    with pytest.raises(ValueError, match="threshold is 0"):
        judged(threshold=0)

from __future__ import annotations

import pytest

from exporters.debug import Debug
from pipeline.records import Cost, Evaluation, LedgerEntry, Usage
from tests.support.records import an_evaluated_exchange, an_exchange, answer

ENTRIES = (
    LedgerEntry("refusal", "pass", evaluations=(Evaluation("refusal", 0.25, "pass", "No refusal."),)),
    LedgerEntry("slow", "error", reason="timeout"),
    LedgerEntry("judge", "skipped", reason="budget"),
)


async def test_an_exchange_is_one_block_for_a_human(capsys: pytest.CaptureFixture[str]) -> None:
    await Debug().export([an_evaluated_exchange(entries=ENTRIES)])
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        "018bcfe5680000000000000000000001 openai POST /v1/chat/completions 200 41 ms chat gpt-4o-2024-08-06 9→3 tokens",
        "  pass    refusal 0.25 No refusal.",
        "  error   slow [timeout]",
        "  skipped judge (budget)",
    ]


async def test_an_estimate_is_called_one_and_a_known_cost_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    estimate = Usage(input_tokens=9, output_tokens=3, source="estimated")
    exchange = an_exchange(usage=estimate, cost=Cost(0.0000525, 0.0000225, 0.00003, "override", estimated=True))
    await Debug().export([an_evaluated_exchange(exchange=exchange)])
    assert capsys.readouterr().err.endswith(" 9→3 estimated tokens 0.000053 USD\n")


async def test_texts_are_shown_only_when_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    await Debug().export([an_evaluated_exchange()])
    assert "Hello" not in capsys.readouterr().err
    await Debug(content="full", stream="stdout").export([an_evaluated_exchange()])
    assert capsys.readouterr().out.splitlines()[1:] == ["  < Hello?", "  > Hello!"]
    await Debug(content="redacted").export([an_evaluated_exchange()])
    assert "Hello" not in capsys.readouterr().err
    silent = an_evaluated_exchange(exchange=an_exchange(output_messages=()))
    await Debug(content="full").export([silent])
    assert capsys.readouterr().err.splitlines()[1:] == ["  < Hello?"]


async def test_a_text_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    exchange = an_exchange(output_messages=(answer("\x1b[2Jgone\nnext \ud800" + "x" * 9999),), error_type="a\rb")
    await Debug(content="full").export([an_evaluated_exchange(exchange=exchange)])
    output = capsys.readouterr().err
    assert "\x1b" not in output
    assert "\r" not in output
    assert len(output.splitlines()) == 3
    assert max(map(len, output.splitlines())) < 500


async def test_an_exchange_of_an_unknown_format_is_told_by_its_http(capsys: pytest.CaptureFixture[str]) -> None:
    exchange = an_exchange(operation=None, request_model=None, response_model=None, usage=type(an_exchange().usage)())
    await Debug().export([an_evaluated_exchange(exchange=exchange)])
    assert capsys.readouterr().err.strip().endswith("openai POST /v1/chat/completions 200 41 ms")

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from config.build import build
from pipeline.budget import Limit, Spend
from pipeline.calibration import save
from pipeline.errors import ConfigError, Permanent, Retryable
from pipeline.inputs import missing_input
from pipeline.judging import Hours, Verdict
from pipeline.records import Exchange, Message, Part
from processors import JUDGES
from processors.judge import EDITION, Judge
from processors.rubric import Rubric, names, shipped
from processors.token_estimate import PRIOR, features_of
from tests.support.calibrations import a_calibration
from tests.support.judge_attacks import ATTACKS, SPOKEN
from tests.support.judge_endpoint import (
    Answer,
    Body,
    JudgeEndpoint,
    Script,
    always,
    block,
    judge_endpoint,
    openai,
    refusing,
    said,
    user_message,
    weighed,
)
from tests.support.records import an_exchange, answer

OWN = {"name": "polite", "asks": "Is it polite?", "levels": {0: "No.", 1: "Yes."}}
ELSEWHERE = "http://127.0.0.1:9"


def a_judge(url: str = ELSEWHERE, **options: Any) -> Judge:
    """As the configuration builds it."""
    return build("processors", "judge/x", {"rubric": "coherence", "model": "judge-1", "url": url} | options, JUDGES)


@asynccontextmanager
async def judging(script: Script, **options: Any) -> AsyncIterator[tuple[Judge, JudgeEndpoint]]:
    async with judge_endpoint(script) as endpoint, await asyncio.to_thread(a_judge, endpoint.url, **options) as judge:
        yield judge, endpoint


def everything(**changes: Any) -> Exchange:
    """An exchange that every rubric can judge."""
    call = Part("tool_call", id="c", name="atlas", arguments={"city": "Oslo"})
    exchange = an_exchange(
        system_instructions=(Part("text", content="You know geography."),),
        input_messages=(Message("user", (Part("text", content="Where is Oslo?"),)),),
        output_messages=(answer("Oslo is in Norway.", "stop", call),),
        tool_definitions=({"type": "function", "name": "atlas"},),
        context=("Oslo is the capital of Norway.", "Bergen is rainy."),
        ground_truth="In Norway.",
    )
    return replace(exchange, **changes)


def replied(text: str, finish_reason: str = "stop", **changes: Any) -> Script:
    """A completion as it is, with other members."""
    return lambda body: web.json_response(openai(text, body, finish_reason) | changes)


def in_turn(*answers: Answer) -> Script:
    left = iter(answers)
    return lambda body: next(left)


def filled(schema: dict[str, Any]) -> Any:
    """The highest verdict that a schema takes."""
    if "enum" in schema:
        return schema["enum"][-1]
    if schema["type"] == "object":
        return {name: filled(each) for name, each in schema["properties"].items()}
    return {"array": lambda: [filled(schema["items"])] * 2, "boolean": lambda: True, "string": lambda: "So."}[
        schema["type"]
    ]()


def obliging(body: Body) -> str:
    """Whatever it is asked, in the form that it is asked for."""
    return json.dumps(filled(body["response_format"]["json_schema"]["schema"]))


def only(verdict: Verdict) -> tuple[str, float | None, str | None, str | None]:
    (evaluation,) = verdict.evaluations
    return evaluation.name, evaluation.score_value, evaluation.score_label, evaluation.error_type


# -- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rubric": "coherance"}, ": there is no rubric 'coherance'; choose one of answer_relevancy"),
        ({"rubric": []}, ": rubric is empty; name at least one"),
        ({"rubric": 5}, ".rubric: must be the name of a rubric, a rubric of your own, or a list of them"),
        ({"rubric": [["coherence"]]}, ".rubric: must be the name of a rubric, a rubric of your own, or a list of them"),
        ({"rubric": ["fluency", "fluency"]}, ": two rubrics have the same name"),
        ({"rubric": ["fluency", "preference"]}, ": a preference is asked twice, by itself"),
        ({"rubric": OWN | {"lvels": {}}}, ".rubric: lvels: unknown option; did you mean levels?"),
        ({"rubric": OWN | {"levels": {1: "So."}}}, ".rubric: levels are 1; describe from 2 to 11 of them"),
        ({"rubric": OWN | {"shows": ["foo"]}}, ".rubric: shows[0]: must be 'instructions', 'question'"),
        ({"rubrics": "fluency"}, ".rubrics: unknown option; did you mean rubric?"),
        ({"model": ""}, ": model is empty; name the model that judges"),
        ({"url": None}, ": say whom to ask: give either upstream or url"),
        ({"upstream": "openai"}, ": say whom to ask: give either upstream or url"),
        ({"url": "ftp://x"}, ".url: 'ftp://x' is not a usable URL"),
        ({"api": "gemini"}, ".api: must be 'openai' or 'anthropic'"),
        ({"api_key": "sk-1\n"}, ": api_key has a line break or another control character in it; remove it"),
        ({"headers": {"X-Key": "sk-1\r"}}, ": headers.X-Key has a line break"),
        ({"parameters": {"stream": True}}, ": parameters has 'stream', which the judge sets itself; remove it"),
        ({"logprobs": True, "api": "anthropic"}, ": logprobs are not told by anthropic; leave them out"),
        ({"logprobs": True, "rubric": ["fluency", "coherence"]}, ": logprobs weigh the levels of one rubric"),
        ({"logprobs": True, "rubric": "faithfulness"}, ": logprobs weigh the levels of one rubric"),
        ({"max_tokens": 0}, ": max_tokens is 0; give 1 or more"),
        ({"max_input": 0}, ": max_input is 0; give 1 or more"),
        ({"attempts": 0}, ": attempts is 0; give 1 or more"),
        ({"concurrency": 0}, ": concurrency is 0; give 1 or more"),
        ({"queue": 0}, ": queue is 0; give 1 or more"),
        ({"per_stratum": -1}, ": per_stratum is -1; give 0 or more"),
        ({"ratio": 2}, ": ratio is 2.0; give a number from 0 to 1"),
        ({"always": ["often"]}, ".always[0]: must be 'error', 'slow', 'flagged' or 'feedback'"),
        ({"strata": ["user"]}, ".strata[0]: must be 'upstream', 'model', 'length' or 'risk'"),
        ({"budget": "5 dollars"}, ": '5 dollars' is no budget; write 5 USD/day, 200 calls/hour"),
        ({"budget": "5 USD/day"}, ": the price of 'judge-1' is not known, so no budget in USD can be kept; give price"),
        (
            {"budget": "5 USD/day", "price": {"input": 1}},
            ": the price of 'judge-1' is not known, so no budget in USD can be kept; give price, of input and output",
        ),
        ({"price": {"input": 1, "outputs": 2}}, ".price: outputs: unknown option; did you mean output?"),
        ({"price": {}}, ".price: says no price; give one of input"),
        ({"hours": "25:00-26:00"}, ": hours is '25:00-26:00'; write UTC times like 22:00-06:00"),
    ],
)
def test_a_mistake_in_the_options_names_the_place_and_the_remedy(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        a_judge(**options)
    (said,) = raised.value.problems
    assert said.startswith(f"processors.judge/x{problem}")
    assert "sk-1" not in said


def test_what_is_given_is_what_it_works_with() -> None:
    judge = a_judge(
        rubric=["fluency", OWN],
        budget=["5 USD/day", "100 calls/hour"],
        price={"input": 1, "output": 2},
        hours="22:00-06:00",
        timeout="30s",
        api_key="sk-1",
    )
    assert judge.rubrics == (shipped("fluency"), Rubric(**OWN))  # type: ignore[arg-type]
    assert judge.limits == (Limit(5.0, "USD", "day"), Limit(100.0, "calls", "hour"))
    assert judge.open == Hours(22 * 60, 6 * 60)
    assert judge.timeout == 30.0
    assert "sk-1" not in repr(judge)


def test_a_listed_price_is_enough_for_a_budget_in_dollars() -> None:
    assert a_judge(model="gpt-4o-mini", budget="5 USD/day").limits


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"rubric": "fluency"}),
        ({}, {"rubric": ["coherence", "fluency"]}),
        ({"rubric": OWN}, {"rubric": OWN | {"asks": "Is it kind?"}}),
        ({"rubric": OWN}, {"rubric": OWN | {"levels": {0: "No.", 1: "Yes!"}}}),
        ({"rubric": OWN}, {"rubric": OWN | {"pass_at": 1}}),
        ({}, {"model": "judge-2"}),
        ({}, {"api": "anthropic"}),
        ({}, {"parameters": {}}),
        ({}, {"parameters": {"temperature": 0, "seed": 7}}),
        ({}, {"max_tokens": 801}),
        ({}, {"max_input": 20_001}),
        ({}, {"logprobs": True}),
    ],
)
def test_another_judgement_is_another_version(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert a_judge(**one).version != a_judge(**other).version
    assert a_judge(**one).version == a_judge(**one).version


UNTOUCHED = {
    "url": "http://127.0.0.1:8/v1",
    "api_key": "sk-1",
    "headers": {"X-Team": "a"},
    "timeout": "5s",
    "attempts": 1,
    "concurrency": 1,
    "ratio": 1,
    "always": ["error"],
    "slow": "5s",
    "strata": [],
    "per_stratum": 5,
    "budget": "5 calls/day",
    "price": {"input": 1, "output": 1},
    "hours": "22:00-06:00",
    "max_wait": "1h",
    "queue": 5,
}


@pytest.mark.parametrize("option", UNTOUCHED)
def test_when_whom_and_how_often_it_is_asked_is_the_same_version(option: str) -> None:
    assert a_judge(**{option: UNTOUCHED[option]}).version == a_judge().version


def test_every_option_is_known_to_make_another_version_or_not_to() -> None:
    changing = {"rubric", "model", "api", "parameters", "max_tokens", "max_input", "logprobs"}
    options = {each.name for each in dataclasses.fields(Judge) if each.metadata.get("option", True)}
    assert options - {"upstream", "calibration"} == changing | set(UNTOUCHED)


def test_a_calibration_is_of_one_version_and_changes_none(tmp_path: Path) -> None:
    save(a_calibration(evaluator_version=a_judge().version), tmp_path / "judge.json")
    calibrated = {"calibration": str(tmp_path / "judge.json")}
    assert a_judge(**calibrated).version == a_judge().version
    assert a_judge(**calibrated).calibration_state == "calibrated"
    assert a_judge(model="judge-2", **calibrated).calibration_state == "uncalibrated"
    assert a_judge().calibration_state == "uncalibrated"
    with pytest.raises(ConfigError, match="cannot be read"):
        a_judge(calibration=str(tmp_path / "none.json"))


def test_the_key_of_a_verdict_is_of_what_is_shown_alone() -> None:
    judge, exchange = a_judge(), everything()
    assert judge.key(exchange) == judge.key(replace(exchange, id="other", context=(), ground_truth=None))
    assert judge.key(exchange) != judge.key(everything(output_messages=(answer("Elsewhere."),)))
    assert judge.key(exchange) != a_judge(model="judge-2").key(exchange)


def test_the_edition_is_part_of_the_version() -> None:
    assert EDITION >= 1


# -- verdicts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
async def test_every_rubric_that_ships_can_be_asked(name: str) -> None:
    async with judging(obliging, rubric=name) as (judge, endpoint):
        (rubric,) = judge.rubrics
        assert missing_input(judge.requires, everything()) is None
        verdict = await judge.judge(everything())
        estimate = judge.estimate(everything())
    scored, score, label, error = only(verdict)
    assert (scored, error) == (name, None)
    assert label == ("pass" if rubric.passes(score or 0) else "fail")
    assert score == (0.5 if rubric.kind == "preference" else rubric.scale[1])  # the two orders do not agree
    assert verdict.spend.calls == estimate.calls == len(endpoint.bodies) == (2 if rubric.kind == "preference" else 1)
    shown = user_message(endpoint.bodies[0])
    marks = [f"<{each} " in shown for each in (*rubric.shows, *rubric.if_there)]
    assert all(marks) or rubric.kind == "preference"


async def test_several_rubrics_are_one_call() -> None:
    async with judging(obliging, rubric=["coherence", "faithfulness", OWN]) as (judge, endpoint):
        verdict = await judge.judge(everything())
    assert [(each.name, each.score_value) for each in verdict.evaluations] == [
        ("coherence", 5.0),
        ("faithfulness", 1.0),
        ("polite", 1.0),
    ]
    assert len(endpoint.bodies) == 1
    assert judge.requires == ("question", "response_text", "context")


async def test_a_preference_of_the_first_place_is_none() -> None:
    async with judging(lambda body: '{"reason": "", "better": "first"}', rubric="preference") as (judge, endpoint):
        verdict = await judge.judge(everything())
    assert only(verdict) == ("preference", 0.5, "pass", None)
    assert block(endpoint.bodies[0], "first answer") == block(endpoint.bodies[1], "second answer")
    assert block(endpoint.bodies[0], "reference") == ""


async def test_a_preference_is_for_the_answer_wherever_it_stands() -> None:
    def script(body: Body) -> str:
        better = "first" if "Oslo" in block(body, "first answer") else "second"
        return json.dumps({"reason": "", "better": better})

    async with judging(script, rubric="preference") as (judge, _):
        assert only(await judge.judge(everything())) == ("preference", 1.0, "pass", None)


async def test_probabilities_make_the_score_finer() -> None:
    def script(body: Body) -> Answer:
        return web.json_response(weighed(4, {"4": 0.5, "3": 0.25, "2": 0.25}, body))

    async with judging(script, logprobs=True) as (judge, endpoint):
        verdict = await judge.judge(everything())
    assert only(verdict) == ("coherence", 3.25, "pass", None)
    schema = endpoint.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["score", "reason"]


async def test_an_endpoint_without_probabilities_gives_a_plain_score() -> None:
    async with judging(refusing("logprobs", script=always(4)), logprobs=True) as (judge, _):
        assert only(await judge.judge(everything())) == ("coherence", 4.0, "pass", None)


async def test_anthropic_is_asked_as_well() -> None:
    async with judging(always(4), api="anthropic", api_key="sk-1") as (judge, endpoint):
        verdict = await judge.judge(everything())
    assert only(verdict) == ("coherence", 4.0, "pass", None)
    assert verdict.spend == Spend(1, 550, 0.0)
    assert block(endpoint.bodies[0], "answer") == "Oslo is in Norway."


async def test_an_upstreams_headers_go_along_and_ones_own_go_before_them() -> None:
    async with judge_endpoint(always(4)) as endpoint:
        options = {"url": None, "upstream": "openai", "api_key": "sk-1", "headers": {"X-Team": "mine"}}
        judge = await asyncio.to_thread(lambda: a_judge(**options))
        judge.ask_at(endpoint.url, {"x-team": "theirs", "X-Region": "north", "authorization": "Bearer theirs"})
        async with judge:
            await judge.judge(everything())
    (headers,) = endpoint.headers
    assert (headers["x-team"], headers["x-region"], headers["authorization"]) == ("mine", "north", "Bearer sk-1")


# -- repairs and costs ---------------------------------------------------------------------------------------------


async def test_what_cannot_be_read_is_asked_for_once_more() -> None:
    async with judging(in_turn("I would say four.", said(4))) as (judge, endpoint):
        verdict = await judge.judge(everything())
    assert only(verdict) == ("coherence", 4.0, "pass", None)
    assert verdict.spend.calls == 2
    first, second = (body["messages"] for body in endpoint.bodies)
    assert second[:2] == first
    assert [each["role"] for each in second[2:]] == ["assistant", "user"]
    assert second[2]["content"] == "I would say four."


async def test_what_cannot_be_read_twice_is_an_error_and_no_score() -> None:
    async with judging(lambda body: "No.", rubric=["coherence", "fluency"]) as (judge, endpoint):
        verdict = await judge.judge(everything())
    assert [(each.name, each.score_value, each.error_type) for each in verdict.evaluations] == [
        ("coherence", None, "judge_parse"),
        ("fluency", None, "judge_parse"),
    ]
    assert len(endpoint.bodies) == verdict.spend.calls == 2


async def test_an_answer_that_was_cut_holds_no_verdict_and_says_what_to_do() -> None:
    async with judging(replied(f"The answer says {said(5)}", "length")) as (judge, _):
        verdict = await judge.judge(everything())
    (evaluation,) = verdict.evaluations
    assert evaluation.error_type == "judge_parse"
    assert evaluation.explanation == "the judge's answer was cut; raise max_tokens"


async def test_tokens_that_nobody_counts_are_estimated_and_never_free() -> None:
    async with judging(replied(said(4), usage=None)) as (judge, _):
        verdict = await judge.judge(everything())
        estimate = judge.estimate(everything())
    assert 500 < verdict.spend.tokens < estimate.tokens


async def test_what_was_counted_is_paid_at_ones_own_price() -> None:
    async with judging(always(4), price={"input": 2, "output": 10}) as (judge, _):
        verdict = await judge.judge(everything())
    assert verdict.spend == Spend(1, 550, pytest.approx((500 * 2 + 50 * 10) / 1e6))  # type: ignore[arg-type]


TEXTS = {
    "english": "The ferry leaves the harbour at nine, calls at two islands and is back by noon. " * 200,
    "german": "Die Fähre verlässt den Hafen um neun Uhr und läuft zwei Inseln an, bevor sie zurückkehrt. " * 200,
    "chinese": "渡轮九点离开港口，停靠两个岛屿，中午之前返回。" * 400,
    "russian": "Паром отходит от причала в девять часов и возвращается к полудню. " * 200,
    "code": "def area(width: float, height: float) -> float:\n    return width * height\n\n" * 200,
    "json": '{"id": "a1", "size": 7, "open": true, "tags": ["x", "y"]}, ' * 300,
    "short": "Yes.",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(
    "rubric", ["coherence", "preference", ["coherence", "fluency", "relevance", "faithfulness"]], ids=str
)
async def test_a_judgement_costs_no_more_than_was_set_aside(rubric: Any, text: str) -> None:
    """By tokens as OpenAI's models have them, and an answer as long as it may be."""

    def script(body: Body) -> Answer:
        texts = [each["content"] for each in body["messages"]] + [json.dumps(body["response_format"])]
        inputs = int(features_of(texts, len(body["messages"]), 1) @ PRIOR)
        counted = {"prompt_tokens": inputs, "completion_tokens": 800}
        return web.json_response(openai(obliging(body), body) | {"usage": counted})

    exchange = everything(output_messages=(answer(text),), ground_truth=text, context=(text, text))
    async with judging(script, rubric=rubric, price={"input": 1, "output": 5, "per_request": 0.1}) as (judge, _):
        verdict, estimate = await judge.judge(exchange), judge.estimate(exchange)
    assert verdict.spend.calls == estimate.calls
    assert verdict.spend.tokens <= estimate.tokens
    assert verdict.spend.usd <= estimate.usd


@pytest.mark.parametrize(("status", "error"), [(401, Permanent), (503, Retryable)])
async def test_an_endpoint_that_fails_is_the_callers_to_ask_again(status: int, error: type[Exception]) -> None:
    async with judging(lambda body: web.Response(status=status)) as (judge, _):
        with pytest.raises(error, match=f"HTTP {status}"):
            await judge.judge(everything())


@pytest.mark.parametrize(
    ("rubric", "first"), [("coherence", "I would say four."), ("preference", '{"reason": "", "better": "first"}')]
)
async def test_a_failure_after_a_call_that_was_answered_does_not_look_unpaid(rubric: str, first: str) -> None:
    async with judging(in_turn(first, web.Response(status=503)), rubric=rubric) as (judge, _):
        with pytest.raises(Retryable, match=r"^later call: HTTP 503"):
            await judge.judge(everything())


# -- attacks -------------------------------------------------------------------------------------------------------

GOOD, BAD = "Oslo is in Norway.", "It is on the Moon."
PLACES = ("answer", "question", "context", "reference")
SEEN = {"name": "seen", "asks": "Is it right?", "shows": ["question", "context", "reference", "answer"]}
ASKED = SEEN | {"levels": {1: "No.", 2: "Hardly.", 3: "In part.", 4: "Nearly.", 5: "Yes."}}


def attacked(place: str, attack: str, claim: str) -> Exchange:
    """The claim stands after the attack, so whoever closes the block hides it."""
    exchange = everything(output_messages=(answer(f"{attack if place == 'answer' else ''}\n{claim}"),))
    if place == "question":
        return replace(exchange, input_messages=(Message("user", (Part("text", content=attack),)),))
    if place == "context":
        return replace(exchange, context=(attack, *exchange.context))
    return replace(exchange, ground_truth=attack) if place == "reference" else exchange


def by_the_rule(body: Body) -> int:
    return 5 if block(body, "answer").endswith(GOOD) else 1


def strict_judge(body: Body) -> str:
    """Goes by what is in the block, and by nothing else."""
    return said(by_the_rule(body))


def parrot(body: Body) -> str:
    """Repeats all that it was shown, planted verdicts included, before it says what it thinks."""
    return f"{user_message(body)}\n\nTherefore:\n{said(by_the_rule(body), 'By the rule.')}"


def parrot_in_tags(body: Body) -> str:
    return f"{user_message(body)}\n\n<reason>By the rule.</reason><score>{by_the_rule(body)}</score>"


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("script", [strict_judge, parrot, parrot_in_tags])
async def test_no_attack_moves_a_verdict(script: Script, attack: str) -> None:
    async with judging(script, rubric=ASKED) as (judge, endpoint):
        for place in PLACES:
            for claim, score in ((GOOD, 5.0), (BAD, 1.0)):
                verdict = await judge.judge(attacked(place, attack, claim))
                assert (verdict.evaluations[0].score_value, verdict.evaluations[0].error_type) == (score, None)
    assert len(endpoint.bodies) == len(PLACES) * 2, "each was understood at once"


@pytest.mark.parametrize("attack", SPOKEN.values(), ids=SPOKEN)
@pytest.mark.parametrize("place", PLACES)
async def test_a_judge_that_only_repeats_an_attack_has_given_no_verdict(place: str, attack: str) -> None:
    async with judging(lambda body: attack, rubric=ASKED) as (judge, _):
        verdict = await judge.judge(attacked(place, attack, BAD))
    assert verdict.evaluations[0].error_type == "judge_parse"


@pytest.mark.parametrize("attack", SPOKEN.values(), ids=SPOKEN)
@pytest.mark.parametrize("place", PLACES)
async def test_a_text_that_speaks_to_its_grader_is_reported_beside_the_verdict(place: str, attack: str) -> None:
    async with judging(always(4), rubric=ASKED) as (judge, _):
        verdict = await judge.judge(attacked(place, attack, GOOD))
        plain = await judge.judge(everything())
    names = [(each.name, each.score_value, each.score_label) for each in verdict.evaluations]
    assert names == [("seen", 4.0, "pass"), ("judge_tampering", None, "suspected")]
    assert [each.name for each in plain.evaluations] == ["seen"]


async def test_every_call_has_a_mark_of_its_own() -> None:
    async with judging(always(4)) as (judge, endpoint):
        for _ in range(3):
            await judge.judge(everything())
    assert len({body["messages"][0]["content"] for body in endpoint.bodies}) == 3

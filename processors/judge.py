"""An LLM as a judge: one call, one or several rubrics, a verdict that can be checked.

It is asked after everything else, about a share of the traffic, within a budget (`pipeline/judging.py`). What it is
shown is fenced off (`judge_prompt.py`), what it says is read strictly first and leniently after (`judge_answer.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import re2
from pydantic import SecretStr

from config.settings import Duration, Url
from pipeline.budget import Limit, Spend
from pipeline.calibration import Calibration, load
from pipeline.judging import Hours, Verdict
from pipeline.records import CalibrationState, EvaluatedExchange, Evaluation, Exchange
from pipeline.versions import digest_of
from processors.cost import Price
from processors.judge_answer import Said, evaluation_of, expected_score, how_to_answer, preference, read, schema_of
from processors.judge_endpoint import Api, Ask, Endpoint, Reply, credentials, tokens_of, turns
from processors.judge_prompt import in_order, materials, prompt
from processors.judge_sampling import Occasion, Selector, Stratum
from processors.options import check_share
from processors.own_prices import OwnPrice
from processors.rubric import Rubric, shipped

EDITION: Final = 1  # of the prompts: another one gives other verdicts
CHARACTERS: Final = 3  # for a token, at the least: what a call may cost is rather over- than underestimated
FRAME: Final = 1500  # characters around the material
REPAIR: Final = (
    "That could not be read as a verdict. Do not judge again: give the verdict you came to as one JSON object of the "
    "schema, and nothing else."
)
TO_A_GRADER: Final = re2.compile(  # a text that speaks to whoever grades it
    "(?i)"
    + "|".join(
        (
            r"\b(?:score|rate|grade|mark)\s+(?:this|me|my|it|the)(?:\s+(?:answer|response|reply|output))?\s+"
            r"(?:as\s+|with\s+|a\s+|an\s+|at\s+)*(?:[0-9]+|perfect|full|highest|maximum|top)\b",
            r"\b(?:dear|to the|note to|attention,?)\s+(?:the\s+)?(?:grader|evaluator|judge|reviewer)s?\s*[:,]",
            r"\b(?:give|award|assign|deserves?)\s+(?:\w+\s+){0,4}(?:full marks|(?:maximum|highest|perfect|top)\s+"
            r"(?:score|rating|grade|marks?))\b",
            r"\b(?:ignore|disregard|forget)\s+(?:\w+\s+){0,3}(?:rubric|grading|criteria)\b",
            r"</?score>",
            r"\"score\"\s*:\s*[0-9]",
        )
    )
)


@dataclass(frozen=True, slots=True)
class Judge:
    """Asks a model to grade by rubrics: reason first, then a verdict."""

    rubric: str | Rubric | tuple[str | Rubric, ...]  # names of those that ship, or rubrics of your own
    model: str
    upstream: str | None = None  # one of proxy.upstreams; it is asked directly, with the headers that it sets
    url: Url | None = None  # or any other endpoint, as the API's SDK takes it
    api: Api = "openai"  # or anthropic
    api_key: SecretStr | None = None
    headers: Mapping[str, SecretStr] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0})  # into the request as they are
    max_tokens: int = 800  # that it may write
    max_input: int = 20_000  # characters of each text that it is shown
    logprobs: bool = False  # weigh the levels by their probabilities, where the endpoint tells them
    timeout: Duration = 60.0
    attempts: int = 3  # where the endpoint is busy or away
    concurrency: int = 4
    ratio: float = 0.05  # share of what is kept that is judged
    always: tuple[Occasion, ...] = ()  # judged whatever the ratio
    slow: Duration = 30.0
    strata: tuple[Stratum, ...] = ("upstream", "model")
    per_stratum: int = 0  # of each, about so many an hour at least
    budget: str | tuple[str, ...] = ()
    price: OwnPrice | None = None  # None: the list price, if there is one
    hours: str | None = None  # UTC, like 22:00-06:00: when it is asked
    max_wait: Duration = 86_400.0  # for its hours, or for an endpoint that is away
    queue: int = 10_000  # exchanges that may wait
    calibration: str | None = None  # a file that `sidelight calibrate` wrote

    rubrics: tuple[Rubric, ...] = field(init=False, metadata={"option": False})
    limits: tuple[Limit, ...] = field(init=False, metadata={"option": False})
    open: Hours | None = field(init=False, metadata={"option": False})
    calibrated: Calibration | None = field(init=False, repr=False, compare=False, metadata={"option": False})
    endpoint: Endpoint = field(init=False, repr=False, compare=False, metadata={"option": False})

    def __post_init__(self) -> None:
        check_share("ratio", self.ratio)
        if (self.upstream is None) == (self.url is None):
            raise ValueError("say whom to ask: give either upstream or url")
        for name in ("max_tokens", "max_input", "attempts", "concurrency", "queue"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give 1 or more")
        named = self.rubric if isinstance(self.rubric, tuple) else (self.rubric,)
        rubrics = tuple(shipped(each) if isinstance(each, str) else each for each in named)
        if not rubrics:
            raise ValueError("rubric is empty; name at least one")
        if len(rubrics) > 1 and any(rubric.kind == "preference" for rubric in rubrics):
            raise ValueError("a preference is asked twice, by itself: give it a judge of its own")
        if len({rubric.name for rubric in rubrics}) < len(rubrics):
            raise ValueError("two rubrics have the same name")
        budget = self.budget if isinstance(self.budget, tuple) else (self.budget,)
        object.__setattr__(self, "rubrics", rubrics)
        object.__setattr__(self, "limits", tuple(map(Limit.parse, budget)))
        object.__setattr__(self, "open", Hours.parse(self.hours) if self.hours else None)
        if any(limit.unit == "USD" for limit in self.limits) and self._price() is None:
            raise ValueError(f"the price of {self.model!r} is not known, so no budget in USD can be kept; give price")
        object.__setattr__(self, "calibrated", load(Path(self.calibration)) if self.calibration else None)
        if self.url is not None:
            self.ask_at(self.url, {})

    def ask_at(self, url: str, headers: Mapping[str, str]) -> None:
        """Where `url` leads; whoever wires says it for an upstream, whose own headers go along."""
        own = {name: value.get_secret_value() for name, value in self.headers.items()}
        key = credentials(self.api, self.api_key.get_secret_value()) if self.api_key else {}
        told = {**headers, **key, **own}
        asked = Endpoint(self.api, url, self.model, told, self.parameters, self.max_tokens, self.timeout)
        object.__setattr__(self, "endpoint", asked)

    async def __aenter__(self) -> Judge:
        await asyncio.to_thread(self._price)
        await self.endpoint.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.endpoint.__aexit__()

    @property
    def requires(self) -> tuple[str, ...]:
        """Inputs that every one of its rubrics needs."""
        return tuple(dict.fromkeys(name for rubric in self.rubrics for name in rubric.requires))

    @property
    def calibration_state(self) -> CalibrationState:
        """Is there proof that this version agrees with people?"""
        return self.calibrated.state_for(self.version) if self.calibrated else "uncalibrated"

    @property
    def version(self) -> str:
        """Of rubrics, prompts, model and parameters: the same version gives the same verdicts, as far as models do."""
        how = (self.api, self.model, self.parameters, self.max_tokens, self.max_input, self.logprobs)
        return digest_of((EDITION, self.rubrics, how))[:12]

    def selector(self) -> Callable[[EvaluatedExchange], float]:
        """Exchange → how many its judgement stands for; 0: it is not judged."""
        return Selector(self.ratio, self.always, self.slow, self.strata, self.per_stratum)

    def key(self, exchange: Exchange) -> str:
        """What the verdict hangs on, as a digest: this version, and everything that is shown."""
        return digest_of((self.version, materials(self.rubrics, exchange, self.max_input)))

    def estimate(self, exchange: Exchange) -> Spend:
        """What a judgement may cost, at the most."""
        shown = sum(map(len, materials(self.rubrics, exchange, self.max_input).values()))
        calls = 2 if self.rubrics[0].kind == "preference" else 1
        inputs = calls * (shown + FRAME) // CHARACTERS
        return self._spend(calls, inputs, calls * self.max_tokens)

    async def judge(self, exchange: Exchange) -> Verdict:
        """Ask; raises Retryable or Permanent when the endpoint gives no answer at all."""
        shown = materials(self.rubrics, exchange, self.max_input)
        replies: list[Reply] = []
        if self.rubrics[0].kind == "preference":
            said = [await self._ask(in_order(shown, swapped=swapped), replies) for swapped in (False, True)]
            whole = [each for each in said if each is not None]
            evaluations = [preference(self.rubrics[0], whole)] if len(whole) == len(said) else self._unreadable()
        else:
            one = await self._ask(shown, replies)
            evaluations = self._evaluations(one, exchange, replies[-1]) if one is not None else self._unreadable()
        if any(TO_A_GRADER.search(text) for text in shown.values()):
            evaluations.append(Evaluation("judge_tampering", None, "suspected", "a text speaks to its grader"))
        return Verdict(tuple(evaluations), self._spend(len(replies), *tokens_of(replies)))

    async def _ask(self, shown: Mapping[str, str], replies: list[Reply]) -> Said | None:
        """One verdict on each rubric; an answer that cannot be read is asked for once more."""
        schema = schema_of(self.rubrics, score_first=self.logprobs)
        asked = prompt(self.rubrics, shown, token_hex(8), how_to_answer(schema))
        said: tuple[str, ...] = (asked.user,)
        for _ in range(2):
            reply = await self.endpoint.ask(Ask(asked.system, turns(*said), schema, self.logprobs))
            replies.append(reply)
            if (found := read(reply.text, self.rubrics, schema)) is not None:
                return found
            said = (asked.user, reply.text or "…", REPAIR)
        return None

    def _evaluations(self, said: Said, exchange: Exchange, reply: Reply) -> list[Evaluation]:
        weighed = None
        if self.logprobs and len(self.rubrics) == 1 and self.rubrics[0].kind == "levels":
            weighed = expected_score(reply.tokens, self.rubrics[0])
        return [
            evaluation_of(rubric, said[rubric.name], documents=len(exchange.context), expected=weighed)
            for rubric in self.rubrics
        ]

    def _unreadable(self) -> list[Evaluation]:
        return [Evaluation(rubric.name, error_type="judge_parse") for rubric in self.rubrics]

    def _price(self) -> Price | None:
        return self.price.tariff() if self.price is not None else list_price(self.api, self.url or "", self.model)

    def _spend(self, calls: int, inputs: int, outputs: int) -> Spend:
        price = self._price()
        bill = price.bill({"input_tokens": inputs, "output_tokens": outputs}) if price else None
        return Spend(calls, inputs + outputs, bill.total if bill else 0.0)


@cache
def list_price(api: Api, url: str, model: str) -> Price | None:
    """What the list says that this model costs now. The first time loads the list: 0.3 s, 25 MB."""
    from processors.list_prices import ListPrices

    return ListPrices().find(api, url, model, {}, datetime.now(UTC))

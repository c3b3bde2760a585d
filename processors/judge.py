"""An LLM as a judge: one call, one or several rubrics, a verdict that can be checked.

It is asked after everything else, about a share of the traffic, within a budget (`pipeline/judging.py`). What it is
shown is fenced off (`judge_prompt.py`), what it says is read strictly first and leniently after (`judge_answer.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, reduce
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

from pydantic import BeforeValidator, SecretStr

from config.build import build_one
from config.settings import Duration, Url
from pipeline.budget import Limit, Spend
from pipeline.calibration import Calibration, load
from pipeline.errors import ConfigError, Permanent, Retryable
from pipeline.judging import Hours, Verdict
from pipeline.records import CalibrationState, EvaluatedExchange, Evaluation, Exchange
from pipeline.versions import digest_of
from processors.cost import Price
from processors.judge_answer import Said, evaluation_of, expected_score, how_to_answer, preference, read, schema_of
from processors.judge_endpoint import Api, Ask, Endpoint, Reply, credentials, turns
from processors.judge_prompt import in_order, materials, prompt
from processors.judge_sampling import Occasion, Selector, Stratum
from processors.judge_tampering import speaks_to_a_grader
from processors.options import check_share
from processors.own_prices import OwnPrice
from processors.rubric import Rubric, shipped
from processors.tariff import Bill

EDITION: Final = 1  # of the prompts: another one gives other verdicts
BYTES: Final = 3  # for a token, at the least: what a call may cost is rather over- than underestimated
OF_THE_API: Final = 500  # tokens that an API adds around what it is sent, to a tool above all
REPAIR: Final = (
    "That could not be read as a verdict. Do not judge again: give the verdict you came to as one JSON object of the "
    "schema, and nothing else."
)
FORM: Final = ("system", "tools", "tool_choice", "response_format", "logprobs", "top_logprobs", "n", "stream")
OURS: Final = frozenset(("model", "messages", "max_tokens", "max_completion_tokens", *FORM))  # never in `parameters`


def own_rubric(value: object) -> object:
    """A rubric's name, or a mapping → the user's own rubric; of a list each."""
    return tuple(map(one_rubric, value)) if isinstance(value, list) else one_rubric(value)


def one_rubric(value: object) -> object:
    if isinstance(value, Mapping):
        return own(Rubric, value)
    if not isinstance(value, (str, Rubric)):
        raise ValueError("must be the name of a rubric, a rubric of your own, or a list of them")
    return value


def own_price(value: object) -> object:
    return own(OwnPrice, value) if isinstance(value, Mapping) else value


def own(kind: type[Any], options: Mapping[str, Any]) -> Any:
    """Built as strictly as a component: what it does not know it refuses."""
    try:
        return build_one((), options, kind)
    except ConfigError as error:
        raise ValueError("; ".join(problem.removeprefix("config: ") for problem in error.problems)) from None


Rubrics: TypeAlias = Annotated[str | Rubric | tuple[str | Rubric, ...], BeforeValidator(own_rubric)]
MaybePrice: TypeAlias = Annotated[OwnPrice | None, BeforeValidator(own_price)]


class Heard(NamedTuple):
    """What one call came to."""

    said: Said | None  # None: nothing that could be read
    reply: Reply  # the last one
    spend: Spend


@dataclass(frozen=True, slots=True)
class Judge:
    """Asks a model to grade by rubrics: reason first, then a verdict."""

    rubric: Rubrics  # names of those that ship, or rubrics of your own
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
    price: MaybePrice = None  # None: the list price, if there is one
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
        if self.per_stratum < 0:
            raise ValueError(f"per_stratum is {self.per_stratum}; give 0 or more")
        if not self.model:
            raise ValueError("model is empty; name the model that judges")
        self._check_request()
        named = self.rubric if isinstance(self.rubric, tuple) else (self.rubric,)
        rubrics = tuple(shipped(each) if isinstance(each, str) else each for each in named)
        if not rubrics:
            raise ValueError("rubric is empty; name at least one")
        if len(rubrics) > 1 and any(rubric.kind == "preference" for rubric in rubrics):
            raise ValueError("a preference is asked twice, by itself: give it a judge of its own")
        if len({rubric.name for rubric in rubrics}) < len(rubrics):
            raise ValueError("two rubrics have the same name")
        if self.logprobs and (len(rubrics) > 1 or rubrics[0].kind != "levels"):
            raise ValueError("logprobs weigh the levels of one rubric: give it a judge of its own, or leave them out")
        budget = self.budget if isinstance(self.budget, tuple) else (self.budget,)
        object.__setattr__(self, "rubrics", rubrics)
        object.__setattr__(self, "limits", tuple(map(Limit.parse, budget)))
        object.__setattr__(self, "open", Hours.parse(self.hours) if self.hours else None)
        if any(limit.unit == "USD" for limit in self.limits) and self._bill(1, 1) is None:
            unknown = f"the price of {self.model!r} is not known, so no budget in USD can be kept"
            raise ValueError(f"{unknown}; give price, of input and output")
        object.__setattr__(self, "calibrated", load(Path(self.calibration)) if self.calibration else None)
        if self.url is not None:
            self.ask_at(self.url, {})

    def _check_request(self) -> None:
        """What would make every call fail."""
        if self.logprobs and self.api == "anthropic":
            raise ValueError("logprobs are not told by anthropic; leave them out")
        ours = sorted(OURS & self.parameters.keys())
        if ours:
            raise ValueError(f"parameters has {ours[0]!r}, which the judge sets itself; remove it")
        secrets = {"api_key": self.api_key} if self.api_key else {}
        for name, secret in (secrets | {f"headers.{name}": value for name, value in self.headers.items()}).items():
            if not secret.get_secret_value().isprintable():
                raise ValueError(f"{name} has a line break or another control character in it; remove it")

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
        """What a judgement may cost, if the first answer can be read."""
        asked = [self._asked(shown) for shown in self._orders(materials(self.rubrics, exchange, self.max_input))]
        return reduce(Spend.plus, (self._spend(tokens_sent(each), self.max_tokens) for each in asked))

    async def judge(self, exchange: Exchange) -> Verdict:
        """Ask; raises Retryable or Permanent when the endpoint gives no answer at all."""
        shown = await asyncio.to_thread(materials, self.rubrics, exchange, self.max_input)
        heard: list[Heard] = []
        for each in self._orders(shown):
            heard.append(await self._ask(each, paid=bool(heard)))
        evaluations = self._evaluations(heard, exchange)
        if await asyncio.to_thread(lambda: any(map(speaks_to_a_grader, shown.values()))):
            evaluations.append(Evaluation("judge_tampering", None, "suspected", "a text speaks to its grader"))
        return Verdict(tuple(evaluations), reduce(Spend.plus, (each.spend for each in heard)))

    def _orders(self, shown: Mapping[str, str]) -> list[Mapping[str, str]]:
        """What is shown: once, or of a preference twice."""
        if self.rubrics[0].kind != "preference":
            return [shown]
        return [in_order(shown, swapped=False), in_order(shown, swapped=True)]

    def _asked(self, shown: Mapping[str, str]) -> Ask:
        schema = schema_of(self.rubrics, score_first=self.logprobs)
        asked = prompt(self.rubrics, shown, token_hex(8), how_to_answer(schema))
        return Ask(asked.system, turns(asked.user), schema, self.logprobs)

    async def _ask(self, shown: Mapping[str, str], *, paid: bool) -> Heard:
        """One verdict on each rubric; an answer that cannot be read is asked for once more.

        `paid`: a call before this one was answered, so the judgement costs something even if this one fails.
        """
        first = asked = self._asked(shown)
        material, spend = asked.turns[0][1], Spend()
        while True:
            try:
                reply = await self.endpoint.ask(asked)
            except (Retryable, Permanent) as error:
                raise later(error) if paid or spend.calls else error from None
            spend = spend.plus(self._paid(asked, reply))
            said = None if reply.cut else read(reply.text, self.rubrics, asked.schema, material)
            if said is not None or asked is not first:
                return Heard(said, reply, spend)
            asked = asked._replace(turns=turns(material, reply.text or "…", REPAIR))

    def _evaluations(self, heard: Sequence[Heard], exchange: Exchange) -> list[Evaluation]:
        said = [each.said for each in heard if each.said is not None]
        if len(said) < len(heard):
            return self._unreadable(cut=any(each.reply.cut for each in heard))
        if self.rubrics[0].kind == "preference":
            return [preference(self.rubrics[0], said)]
        weighed = expected_score(heard[0].reply.tokens, self.rubrics[0]) if self.logprobs else None
        return [
            evaluation_of(rubric, said[0][rubric.name], documents=len(exchange.context), expected=weighed)
            for rubric in self.rubrics
        ]

    def _unreadable(self, *, cut: bool) -> list[Evaluation]:
        why = "the judge's answer was cut; raise max_tokens" if cut else "the judge's answer holds no verdict"
        return [Evaluation(rubric.name, None, None, why, error_type="judge_parse") for rubric in self.rubrics]

    def _paid(self, asked: Ask, reply: Reply) -> Spend:
        """As the endpoint counted, and where it does not count as much as it may have been."""
        inputs, outputs = reply.input_tokens, reply.output_tokens
        return self._spend(
            tokens_sent(asked) if inputs is None else inputs,
            tokens_in(reply.text) if outputs is None else outputs,
        )

    def _price(self) -> Price | None:
        return self.price.tariff() if self.price is not None else list_price(self.api, self.url or "", self.model)

    def _bill(self, inputs: int, outputs: int) -> Bill | None:
        price = self._price()
        return price.bill({"input_tokens": inputs, "output_tokens": outputs}) if price else None

    def _spend(self, inputs: int, outputs: int) -> Spend:
        """Of one call."""
        bill = self._bill(inputs, outputs)
        return Spend(1, inputs + outputs, bill.total if bill else 0.0)


def later(error: Retryable | Permanent) -> Retryable | Permanent:
    """The same of a call after one that was answered: it does not say a status first, so nothing is given back."""
    said = f"later call: {error}"
    return Retryable(said, error.after) if isinstance(error, Retryable) else Permanent(said)


def tokens_sent(ask: Ask) -> int:
    """Of a request, at the most as far as texts of people go."""
    texts = (ask.system, *(text for _, text in ask.turns), json.dumps(ask.schema))
    return OF_THE_API + sum(map(tokens_in, texts))


def tokens_in(text: str) -> int:
    return len(text.encode()) // BYTES + 1


@cache
def list_price(api: Api, url: str, model: str) -> Price | None:
    """What the list says that this model costs now. The first time loads the list: 0.3 s, 25 MB."""
    from processors.list_prices import ListPrices

    return ListPrices().find(api, url, model, {}, datetime.now(UTC))

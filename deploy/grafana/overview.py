"""The overview: is it fast, what does it cost, does it work, is it any good? One line of numbers, then each in turn."""

from __future__ import annotations

from deploy.grafana import choices
from deploy.grafana.model import Dashboard, Limits, Row, bars, chart, number
from deploy.grafana.promql import (
    ASKED,
    BETWEEN_CHUNKS,
    CALLS,
    COST,
    DURATION,
    FAILED,
    FIRST_CHUNK,
    JUDGED,
    MODEL,
    TOKENS,
    UPSTREAM,
    calls,
    cost_per_hour,
    coverage,
    error_share,
    pass_share,
    quantile,
    quantiles,
    rate,
)

BY_MODEL = "gen_ai_request_model"

AT_A_GLANCE = Row(
    "At a glance",
    (
        number("Calls", "Calls of a model in a second.", "reqps", calls()),
        number(
            "Errors",
            "Share of calls that failed, by a status from 400 on or a broken answer. Clients that left do not count.",
            "percentunit",
            error_share(),
            limits=Limits(0.02, 0.05),
        ),
        number(
            "Latency, p95",
            "95 of 100 calls are over within this time, from the request to the answer's last byte.",
            "s",
            quantile(0.95, DURATION, CALLS),
            limits=Limits(10, 30),
        ),
        number(
            "Cost per hour",
            "US dollars that an hour costs at the present rate, as far as prices are known.",
            "currencyUSD",
            cost_per_hour(),
        ),
        number(
            "Passed",
            "Share of judgements that passed, over all evaluators. Sampled ones count for what they stand for.",
            "percentunit",
            pass_share(MODEL),
            limits=Limits(0.95, 0.9),
        ),
        number(
            "Captured",
            "Share of exchanges whose copy reached the pipeline. What is missing was served, and never judged.",
            "percentunit",
            coverage(),
            limits=Limits(1, 0.99),
        ),
    ),
)

PERFORMANCE = Row(
    "Performance",
    (
        chart(
            "Latency",
            "How long calls take, to the answer's last byte. A dot is one call, and leads to its trace.",
            "s",
            quantiles(DURATION, CALLS),
            width=12,
            limits=Limits(10, 30),
            exemplars=True,
        ),
        chart(
            "Latency by model, p95",
            "95 of 100 calls of each model are over within this time.",
            "s",
            {"{{gen_ai_request_model}}": quantile(0.95, DURATION, CALLS, per=BY_MODEL)},
            width=12,
            limits=Limits(10, 30),
            exemplars=True,
        ),
        chart(
            "Time to the first chunk",
            "How long readers of a streamed answer wait until it begins.",
            "s",
            quantiles(FIRST_CHUNK, CALLS),
            limits=Limits(2, 5),
            exemplars=True,
        ),
        chart(
            "Time between chunks, p95",
            "How evenly streamed answers flow: 95 of 100 pauses between two chunks are shorter.",
            "s",
            {"{{gen_ai_request_model}}": quantile(0.95, BETWEEN_CHUNKS, CALLS, per=BY_MODEL)},
        ),
        chart(
            "Output tokens",
            "Tokens that each model writes in a second, as providers report them.",
            "short",
            {"{{gen_ai_request_model}}": rate(TOKENS.format("output"), CALLS, per=BY_MODEL)},
            stacked=True,
        ),
    ),
)

SPENDING = Row(
    "Cost",
    (
        chart(
            "Cost per hour by model",
            "US dollars that an hour costs at the rate of each moment.",
            "currencyUSD",
            {"{{gen_ai_request_model}}": cost_per_hour(per=BY_MODEL)},
            stacked=True,
        ),
        chart(
            "Tokens",
            "Tokens in a second by what they are. Cached ones are part of the input, reasoning is part of the output.",
            "short",
            {
                name: rate(TOKENS.format(kind), CALLS)
                for name, kind in (
                    ("input", "input"),
                    ("cached", "cache_read_input"),
                    ("output", "output"),
                    ("reasoning", "reasoning_output"),
                )
            },
        ),
        chart(
            "Cost of 1,000 calls",
            "US dollars for a thousand calls of each model. Longer prompts and answers raise it, cache hits lower it.",
            "currencyUSD",
            {"{{gen_ai_request_model}}": f"1000 * {rate(COST, CALLS, per=BY_MODEL)} / {calls(per=BY_MODEL)}"},
        ),
    ),
)

RELIABILITY = Row(
    "Reliability",
    (
        chart(
            "Answers by status",
            "Answers of the upstreams in a second, by HTTP status.",
            "reqps",
            {"{{http_response_status_code}}": rate(f"{ASKED}_count", UPSTREAM, per="http_response_status_code")},
            stacked=True,
        ),
        chart(
            "Errors by type",
            "Share of all calls that failed in each way: a status, or what broke the transfer.",
            "percentunit",
            {"{{error_type}}": (f"{calls(FAILED, per='error_type')} / on () group_left () {calls()}")},
            limits=Limits(0.02, 0.05),
            stacked=True,
        ),
        chart(
            "Latency by upstream, p95",
            "95 of 100 requests to each upstream are answered within this time.",
            "s",
            {"{{server_address}}": quantile(0.95, ASKED, UPSTREAM, per="server_address")},
            exemplars=True,
        ),
    ),
)

QUALITY = Row(
    "Quality",
    (
        bars(
            "Passed by evaluator",
            "Share of each evaluator's judgements that passed. A click leads to the evaluator's own page.",
            "percentunit",
            {"{{evaluator}}": pass_share(MODEL, per="evaluator")},
            limits=Limits(0.95, 0.9),
            link="/d/sidelight-evaluator?var-evaluator=${__field.labels.evaluator}&${__url_time_range}",
        ),
        chart(
            "Passed by evaluator, over time",
            "The same over time: a step down that comes with a release or a new model is worth a look.",
            "percentunit",
            {"{{evaluator}}": pass_share(MODEL, per="evaluator")},
            limits=Limits(0.95, 0.9),
        ),
        chart(
            "Failed by evaluator",
            "Judgements that failed, in a second.",
            "short",
            {"{{evaluator}}": rate(JUDGED, MODEL, 'outcome="fail"', per="evaluator")},
            stacked=True,
        ),
    ),
)

DASHBOARD = Dashboard(
    "overview",
    "Sidelight: overview",
    "What your application asks of models: performance, cost, reliability and quality on one page.",
    choices.OF_CALLS,
    (AT_A_GLANCE, PERFORMANCE, SPENDING, RELIABILITY, QUALITY),
)

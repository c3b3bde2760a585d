"""For those who answer for it: how much it is used, what it costs, whether it works and is any good, over a week."""

from __future__ import annotations

from deploy.grafana import choices
from deploy.grafana.model import Dashboard, Limits, Row, chart, number, table
from deploy.grafana.promql import (
    CALLS,
    COST,
    DECIDED,
    DURATION,
    FAILED,
    JUDGED,
    MODEL,
    PASSED,
    TOKENS,
    calls,
    cost_per_hour,
    gained,
    pass_share,
    quantile,
    share,
)

BY_MODEL = "gen_ai_request_model"
EVERY_CALL = f"{DURATION}_count"
SUCCEEDED = 'error_type=""'

IN_THIS_TIME = Row(
    "In the time shown",
    (
        number("Calls", "Calls of a model.", "short", gained(EVERY_CALL, CALLS)),
        number(
            "Succeeded",
            "Share of calls that ended without an error. The aim is 99 of 100.",
            "percentunit",
            f"{gained(EVERY_CALL, CALLS, SUCCEEDED)} / {gained(EVERY_CALL, CALLS)}",
            limits=Limits(0.99, 0.95),
        ),
        number(
            "Latency, p95",
            "95 of 100 calls were over within this time.",
            "s",
            quantile(0.95, DURATION, CALLS, window="$__range"),
            limits=Limits(10, 30),
        ),
        number("Cost", "US dollars, as far as prices are known.", "currencyUSD", gained(COST, CALLS)),
        number(
            "Cost per call",
            "US dollars for one call, on average.",
            "currencyUSD",
            f"{gained(COST, CALLS)} / {gained(EVERY_CALL, CALLS)}",
        ),
        number(
            "Passed",
            "Share of all judgements that passed. Sampled ones count for what they stand for.",
            "percentunit",
            share(gained(JUDGED, MODEL, PASSED), gained(JUDGED, MODEL, DECIDED)),
            limits=Limits(0.95, 0.9),
        ),
    ),
)

COURSE = Row(
    "How it went",
    (
        chart(
            "Calls per hour by model",
            "What is asked of each model in an hour.",
            "short",
            {"{{gen_ai_request_model}}": f"3600 * {calls(per=BY_MODEL)}"},
            stacked=True,
        ),
        chart(
            "Cost per hour by model",
            "US dollars that an hour costs at the rate of each moment.",
            "currencyUSD",
            {"{{gen_ai_request_model}}": cost_per_hour(per=BY_MODEL)},
            stacked=True,
        ),
        chart(
            "Passed by evaluator",
            "Share of each evaluator's judgements that passed.",
            "percentunit",
            {"{{evaluator}}": pass_share(MODEL, per="evaluator")},
            limits=Limits(0.95, 0.9),
        ),
    ),
)

MODELS = Row(
    "Models",
    (
        table(
            "Models side by side",
            "What each model was asked, what that cost, how fast it answered and how often it failed.",
            {
                "Calls": ("short", gained(EVERY_CALL, CALLS, per=BY_MODEL)),
                "Cost": ("currencyUSD", gained(COST, CALLS, per=BY_MODEL)),
                "Input tokens": ("short", gained(TOKENS.format("input"), CALLS, per=BY_MODEL)),
                "Output tokens": ("short", gained(TOKENS.format("output"), CALLS, per=BY_MODEL)),
                "Latency, p95": ("s", quantile(0.95, DURATION, CALLS, per=BY_MODEL, window="$__range")),
                "Errors": (
                    "percentunit",
                    share(
                        gained(EVERY_CALL, CALLS, FAILED, per=BY_MODEL),
                        gained(EVERY_CALL, CALLS, per=BY_MODEL),
                    ),
                ),
                "Passed": (
                    "percentunit",
                    share(gained(JUDGED, MODEL, PASSED, per=BY_MODEL), gained(JUDGED, MODEL, DECIDED, per=BY_MODEL)),
                ),
            },
        ),
    ),
)

DASHBOARD = Dashboard(
    "executive",
    "Sidelight: executive",
    "Use, cost, success and quality over a week, for those who answer for them.",
    choices.OF_CALLS,
    (IN_THIS_TIME, COURSE, MODELS),
    since="now-7d",
    refresh="5m",
)

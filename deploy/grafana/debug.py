"""For finding the one call: where errors, slow answers and low scores are; each dot leads to a trace."""

from __future__ import annotations

from deploy.grafana import choices
from deploy.grafana.model import Dashboard, Row, chart, heatmap, table
from deploy.grafana.promql import (
    ASKED,
    CALLS,
    DURATION,
    FAILED,
    FIRST_CHUNK,
    MODEL,
    OUTCOMES,
    SCORE,
    SERVED,
    SIDELIGHT,
    UPSTREAM,
    gained,
    or_zero,
    quantile,
    rate,
    spread,
)

SLOW = Row(
    "Slow ones",
    (
        heatmap(
            "Latency of calls",
            "How many calls took how long. The dots high up are the slow ones: each leads to its trace.",
            "s",
            spread(DURATION, CALLS),
        ),
        heatmap(
            "Time to the first chunk",
            "How many streamed answers began after how long.",
            "s",
            spread(FIRST_CHUNK, CALLS),
        ),
        chart(
            "Latency by route, p99",
            "99 of 100 requests of each route are over within this time.",
            "s",
            {"{{http_route}}": quantile(0.99, SERVED, SIDELIGHT, per="http_route")},
            exemplars=True,
        ),
        chart(
            "Latency by upstream, p99",
            "99 of 100 requests to each upstream are answered within this time.",
            "s",
            {"{{server_address}}:{{server_port}}": quantile(0.99, ASKED, UPSTREAM, per="server_address, server_port")},
            exemplars=True,
        ),
        chart(
            "Tokens of a call, p95",
            "95 of 100 calls have fewer tokens. Long prompts and long answers are slow ones.",
            "short",
            {
                f"{kind} {{{{gen_ai_request_model}}}}": quantile(
                    0.95, f"gen_ai_client_inference_operation_{kind}_tokens", CALLS, per="gen_ai_request_model"
                )
                for kind in ("input", "output")
            },
            exemplars=True,
        ),
    ),
)

FAILING = Row(
    "Failing ones",
    (
        table(
            "Errors by model and type",
            "Calls that failed in the time shown, by what was asked and how it ended.",
            {
                "Failed": (
                    "short",
                    gained(
                        f"{DURATION}_count",
                        CALLS,
                        FAILED,
                        per="gen_ai_provider_name, gen_ai_request_model, server_address, error_type",
                    ),
                )
            },
            width=12,
        ),
        heatmap(
            "Latency of failed calls",
            "Errors at once are refusals, errors after a while are time-outs or broken answers. Dots lead to traces.",
            "s",
            spread(DURATION, CALLS, FAILED),
        ),
        chart(
            "Answers by route and status",
            "What clients get in a second.",
            "reqps",
            {
                "{{http_route}} {{http_response_status_code}}": rate(
                    f"{SERVED}_count", SIDELIGHT, per="http_route, http_response_status_code"
                )
            },
            width=12,
        ),
        chart(
            "Requests that were not understood",
            "In a second: not valid HTTP, and refused; or served, and only partly readable for the pipeline.",
            "reqps",
            {
                "not valid HTTP": rate("sidelight_proxy_invalid_requests_total", SIDELIGHT),
                "partly readable": or_zero(rate("sidelight_decode_errors_total", SIDELIGHT)),
                "body cut": rate("sidelight_capture_cut_total", SIDELIGHT),
            },
            width=12,
        ),
    ),
)

JUDGEMENTS = Row(
    "Judgements",
    (
        heatmap(
            "Scores",
            "How many judgements gave which score, over all evaluators. Dots lead to the call that was judged.",
            "short",
            spread(SCORE, MODEL),
        ),
        chart(
            "Outcomes",
            "Outcomes in a second, one for each exchange and evaluator.",
            "short",
            {"{{outcome}}": rate(OUTCOMES, SIDELIGHT, per="outcome")},
            width=12,
            stacked=True,
        ),
        table(
            "Why evaluators said nothing",
            "Exchanges in the time shown that an evaluator skipped or stumbled over, and why.",
            {"Exchanges": ("short", gained(OUTCOMES, SIDELIGHT, 'reason!=""', per="evaluator, outcome, reason"))},
            width=12,
        ),
        chart(
            "Who counted the tokens",
            "Exchanges in a second by the source of their counts. Those of `none` have no cost.",
            "reqps",
            {
                "{{upstream}} {{source}}": rate("sidelight_usage_exchanges_total", SIDELIGHT, per="upstream, source"),
                "price not known": or_zero(rate("sidelight_cost_unknown_total", MODEL)),
            },
            width=12,
        ),
    ),
)

DASHBOARD = Dashboard(
    "debug",
    "Sidelight: debug",
    "From a symptom to the call: slow ones, failing ones, and what was judged badly.",
    choices.OF_CALLS,
    (SLOW, FAILING, JUDGEMENTS),
)

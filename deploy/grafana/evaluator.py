"""One evaluator in detail: what it says, of which models, how sure, how often not at all, and what it costs in time."""

from __future__ import annotations

from deploy.grafana import choices
from deploy.grafana.model import Dashboard, Limits, Row, chart, heatmap, number
from deploy.grafana.promql import (
    EVALUATOR,
    JUDGED,
    OUTCOMES,
    SCORE,
    mean,
    or_zero,
    pass_share,
    quantile,
    quantiles,
    rate,
    share,
    spread,
)

OF_MODEL = f'{EVALUATOR},gen_ai_request_model=~"$model"'
TOOK = "sidelight_evaluation_duration_seconds"
SCORED = "gen_ai_evaluation_name"
ERROR, SKIPPED = 'outcome="error"', 'outcome="skipped"'

AT_A_GLANCE = Row(
    "At a glance",
    (
        number(
            "Passed",
            "Share of its judgements that passed. Sampled ones count for what they stand for.",
            "percentunit",
            pass_share(OF_MODEL),
            limits=Limits(0.95, 0.9),
        ),
        number("Judged", "Exchanges that it judges in a second.", "reqps", rate(JUDGED, OF_MODEL)),
        number(
            "Failed", "Judgements that fail, in a second.", "short", or_zero(rate(JUDGED, OF_MODEL, 'outcome="fail"'))
        ),
        number(
            "Skipped",
            "Share of exchanges that it did not judge: none of its business, nothing to read, or no room.",
            "percentunit",
            share(rate(OUTCOMES, EVALUATOR, SKIPPED), rate(OUTCOMES, EVALUATOR)),
        ),
        number(
            "Errors",
            "Share of exchanges that it stumbled over or took too long for.",
            "percentunit",
            share(rate(OUTCOMES, EVALUATOR, ERROR), rate(OUTCOMES, EVALUATOR)),
            limits=Limits(0.01, 0.05),
        ),
        number(
            "Time, p95",
            "95 of 100 evaluations take less. Nobody waits for them, but they take processor time.",
            "s",
            quantile(0.95, TOOK, EVALUATOR),
            limits=Limits(0.1, 0.5),
        ),
    ),
)

VERDICTS = Row(
    "What it says",
    (
        chart(
            "Passed by model",
            "Share of judgements that passed, for each model that was asked.",
            "percentunit",
            {"{{gen_ai_request_model}}": pass_share(OF_MODEL, per="gen_ai_request_model")},
            width=12,
            limits=Limits(0.95, 0.9),
        ),
        chart(
            "Judgements",
            "Judgements in a second, by what they said; each counts for the exchanges that it stands for.",
            "short",
            {"{{outcome}}": rate(JUDGED, OF_MODEL, per="outcome")},
            width=12,
            stacked=True,
        ),
    ),
)

SCORES = Row(
    "Scores",
    (
        heatmap(
            "Scores",
            "How many judgements gave which score. Dots lead to the call that was judged.",
            "short",
            spread(SCORE, OF_MODEL),
        ),
        chart(
            "Mean score",
            "The average of each score that it gives. A slow drift shows here before judgements turn.",
            "short",
            {"{{gen_ai_evaluation_name}}": mean(SCORE, OF_MODEL, per=SCORED)},
            width=12,
        ),
        chart(
            "Middle and high scores",
            "Half of the scores, and 95 of 100, are below these; up to the width of a histogram's bucket.",
            "short",
            {
                f"p{of * 100:g} {{{{gen_ai_evaluation_name}}}}": quantile(of, SCORE, OF_MODEL, per=SCORED)
                for of in (0.5, 0.95)
            },
            width=12,
            exemplars=True,
        ),
        chart(
            "Mean score by model",
            "The average of its scores for each model that was asked.",
            "short",
            {
                "{{gen_ai_evaluation_name}} {{gen_ai_request_model}}": mean(
                    SCORE, OF_MODEL, per=f"{SCORED}, gen_ai_request_model"
                )
            },
            width=12,
        ),
    ),
)

WORKINGS = Row(
    "How it works",
    (
        chart(
            "Time of an evaluation",
            "How long it takes for one exchange. Beyond evaluation.timeout it is ended, and the outcome is an error.",
            "s",
            quantiles(TOOK, EVALUATOR),
            limits=Limits(0.1, 0.5),
            exemplars=True,
        ),
        chart(
            "Processor time",
            "Seconds of evaluation in each second: its share of the evaluators' processes.",
            "percentunit",
            {"{{evaluator}}": rate(f"{TOOK}_sum", EVALUATOR, per="evaluator")},
        ),
        chart(
            "Outcomes",
            "What became of each exchange, in a second, and why where it was not judged.",
            "short",
            {"{{outcome}} {{reason}}": rate(OUTCOMES, EVALUATOR, per="outcome, reason")},
            stacked=True,
        ),
    ),
)

DASHBOARD = Dashboard(
    "evaluator",
    "Sidelight: evaluator",
    "One evaluator in detail: what it says, of which models, how often not at all, and what it takes.",
    choices.OF_EVALUATOR,
    (AT_A_GLANCE, VERDICTS, SCORES, WORKINGS),
)

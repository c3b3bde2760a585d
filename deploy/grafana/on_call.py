"""For whoever is woken: what is firing, what users feel, what is to blame, and whether anything is being lost."""

from __future__ import annotations

from deploy.grafana import choices
from deploy.grafana.model import Dashboard, Limits, Row, chart, number
from deploy.grafana.promql import (
    ASKED,
    FAILED,
    SERVED,
    SIDELIGHT,
    UPSTREAM,
    coverage,
    highest,
    level,
    or_zero,
    quantiles,
    rate,
    share,
)

FAST_BURN, SLOW_BURN = 14.4, 6  # as in alerts.yaml
FIRING = 'ALERTS{alertname=~"Sidelight.*",alertstate="firing"}'
OF_JOB = 'job=~"$job"'


def burn(window: str) -> str:
    return f"max (sidelight:error_budget_burn:rate{window}{{{OF_JOB}}})"


NOW = Row(
    "Now",
    (
        number(
            "Alerts firing",
            "Alerts of Sidelight that fire now; docs/runbooks.md has a section about each.",
            "short",
            or_zero(f"count ({FIRING})"),
            limits=Limits(1, 3),
        ),
        number(
            "Pages answering",
            "Share of Sidelights whose metrics page answers Prometheus.",
            "percentunit",
            f"avg (up{{{SIDELIGHT}}})",
            limits=Limits(1, 0.99),
        ),
        number(
            "Server errors",
            "Share of requests answered with a status from 500 on, or whose answer broke off.",
            "percentunit",
            share(rate(f"{SERVED}_count", SIDELIGHT, FAILED), rate(f"{SERVED}_count", SIDELIGHT)),
            limits=Limits(0.01, 0.06),
        ),
        number("Requests", "Requests answered in a second.", "reqps", rate(f"{SERVED}_count", SIDELIGHT)),
        number(
            "Captured",
            "Share of exchanges whose copy reached the pipeline.",
            "percentunit",
            coverage(),
            limits=Limits(1, 0.99),
        ),
        number(
            "Changed answers",
            "Answers in the time shown that left otherwise than they came. There must be none.",
            "short",
            f"sum (increase(sidelight_proxy_mismatched_answers_total{{{SIDELIGHT}}}[$__range]))",
            limits=Limits(0.5, 1),
        ),
    ),
)

USERS = Row(
    "What users feel",
    (
        chart(
            "Alerts",
            "Which alerts fire, and since when. The line at 0 is always there.",
            "short",
            {"{{severity}} {{alertname}}": or_zero(f"count by (severity, alertname) ({FIRING})")},
            width=6,
        ),
        chart(
            "Error budget burn",
            "How many times faster than allowed errors use up the budget of 1 in 100. Above the lines an alert fires.",
            "short",
            {window: burn(window) for window in ("5m", "1h", "6h")},
            width=6,
            limits=Limits(SLOW_BURN, FAST_BURN),
        ),
        chart(
            "Latency",
            "How long requests take, to the answer's last byte. A dot is one request, and leads to its trace.",
            "s",
            quantiles(SERVED, SIDELIGHT),
            width=6,
            limits=Limits(10, 30),
            exemplars=True,
        ),
        chart(
            "Answers by status",
            "What clients get in a second, by HTTP status.",
            "reqps",
            {"{{http_response_status_code}}": rate(f"{SERVED}_count", SIDELIGHT, per="http_response_status_code")},
            width=6,
            stacked=True,
        ),
    ),
)

UPSTREAMS = Row(
    "Who is to blame",
    (
        chart(
            "Upstream errors",
            "Share of requests to each upstream that failed, by how: a status from 400 on, or what broke the transfer.",
            "percentunit",
            {
                "{{server_address}} {{error_type}}": (
                    f"{rate(f'{ASKED}_count', UPSTREAM, FAILED, per='server_address, error_type')} "
                    f"/ on (server_address) group_left () {rate(f'{ASKED}_count', UPSTREAM, per='server_address')}"
                )
            },
            limits=Limits(0.02, 0.1),
        ),
        chart(
            "Failures on the way",
            "Requests in a second whose upstream failed, whose client left first, or that Sidelight answered itself.",
            "reqps",
            {
                "upstream failed": rate("sidelight_proxy_failures_total", SIDELIGHT),
                "client left": rate("sidelight_proxy_client_disconnects_total", SIDELIGHT),
                "answered by Sidelight": rate("sidelight_proxy_refusals_total", SIDELIGHT),
                "connection over the limit": rate("sidelight_proxy_rejected_connections_total", SIDELIGHT),
            },
        ),
        chart(
            "Added by Sidelight",
            "Time from a request's head to its being sent upstream. Above 10 ms Sidelight itself is in the way.",
            "s",
            quantiles("sidelight_proxy_overhead_seconds", SIDELIGHT),
            limits=Limits(0.005, 0.01),
            exemplars=True,
        ),
    ),
)

LOSSES = Row(
    "Is anything being lost?",
    (
        chart(
            "Lost in a second",
            "Exchanges that were served, and that nobody will see: by the place where they were lost.",
            "short",
            {
                "not captured": or_zero(rate("sidelight_capture_refused_total", SIDELIGHT)),
                "not stored": or_zero(rate("sidelight_journal_failed_total", SIDELIGHT)),
                "not taken by a backend": or_zero(rate("sidelight_exporter_send_failed_total", SIDELIGHT)),
                "queue full": or_zero(rate("sidelight_exporter_enqueue_failed_total", SIDELIGHT)),
            },
            width=6,
            limits=Limits(0.001, 1),
        ),
        chart(
            "Exporter queues",
            "How full each exporter's queue is: on disk where it has one, else in memory. What is over 100 % is lost.",
            "percentunit",
            {"{{exporter}}": f"max by (exporter) (sidelight:exporter_queue_used:ratio{{{SIDELIGHT}}})"},
            width=6,
            limits=Limits(0.8, 0.95),
        ),
        chart(
            "Waiting to be evaluated",
            "Exchanges in the journal that no evaluator has seen yet.",
            "short",
            {"{{instance}}": level("sidelight_journal_pending", SIDELIGHT, per="instance")},
            width=6,
            limits=Limits(5000, 10000),
        ),
        chart(
            "Event loop lag",
            "The longest that a loop came late in ten seconds. Above 50 ms in a proxy, every stream stutters.",
            "s",
            {"{{process}}": highest("sidelight_loop_lag_seconds", SIDELIGHT, per="process")},
            width=6,
            limits=Limits(0.02, 0.05),
        ),
    ),
)

DASHBOARD = Dashboard(
    "on-call",
    "Sidelight: on call",
    "What is firing, what users feel, who is to blame, and whether anything is being lost.",
    (*choices.OF_SIDELIGHT, choices.UPSTREAM),
    (NOW, USERS, UPSTREAMS, LOSSES),
    since="now-3h",
    refresh="10s",
)

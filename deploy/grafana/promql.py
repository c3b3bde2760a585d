"""Words for queries: small functions that return PromQL, and the names they are about."""

from __future__ import annotations

# What the variables at the top choose.
SIDELIGHT = 'job=~"$job",instance=~"$instance"'
UPSTREAM = f'{SIDELIGHT},server_address=~"$upstream"'
MODEL = f'{SIDELIGHT},gen_ai_request_model=~"$model"'
CALLS = f'{UPSTREAM},gen_ai_request_model=~"$model"'
EVALUATOR = f'{SIDELIGHT},evaluator="$evaluator"'

DURATION = "gen_ai_client_inference_duration_seconds"
FIRST_CHUNK = "gen_ai_client_inference_time_to_first_chunk_seconds"
BETWEEN_CHUNKS = "gen_ai_client_inference_time_per_output_chunk_seconds"
TOKENS = "gen_ai_client_inference_usage_{}_tokens_total"
COST = "sidelight_cost_total"
SERVED = "http_server_request_duration_seconds"
ASKED = "http_client_request_duration_seconds"
JUDGED = "sidelight_evaluation_represented_total"  # weighted: sampling does not bend it
OUTCOMES = "sidelight_evaluation_outcomes_total"
SCORE = "sidelight_evaluation_score"

FAILED = 'error_type!=""'
PASSED = 'outcome="pass"'
DECIDED = 'outcome=~"pass|fail"'


def by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def matching(*matchers: str) -> str:
    return f"{{{','.join(matchers)}}}"


def rate(metric: str, *matchers: str, per: str = "") -> str:
    """How much a counter gains in a second, summed up for each value of the labels `per`."""
    return f"sum{by(per)} (rate({metric}{matching(*matchers)}[$__rate_interval]))"


def gained(metric: str, *matchers: str, per: str = "") -> str:
    """How much a counter gained in the time that is shown."""
    return f"sum{by(per)} (increase({metric}{matching(*matchers)}[$__range]))"


def level(metric: str, *matchers: str, per: str = "") -> str:
    """What a gauge says now, summed up."""
    return f"sum{by(per)} ({metric}{matching(*matchers)})"


def highest(metric: str, *matchers: str, per: str = "") -> str:
    """The highest of a gauge's values."""
    return f"max{by(per)} ({metric}{matching(*matchers)})"


def quantile(share: float, histogram: str, *matchers: str, per: str = "", window: str = "$__rate_interval") -> str:
    """Below this value lies the given share of a histogram's measurements."""
    labels = f"le, {per}" if per else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{matching(*matchers)}[{window}])))"


def quantiles(histogram: str, *matchers: str) -> dict[str, str]:
    """The middle, and both ends that people ask for."""
    return {f"p{share * 100:g}": quantile(share, histogram, *matchers) for share in (0.5, 0.95, 0.99)}


def mean(histogram: str, *matchers: str, per: str = "") -> str:
    return f"{rate(f'{histogram}_sum', *matchers, per=per)} / {rate(f'{histogram}_count', *matchers, per=per)}"


def spread(histogram: str, *matchers: str) -> str:
    """The measurements of each bucket."""
    return f"sum by (le) (increase({histogram}_bucket{matching(*matchers)}[$__rate_interval]))"


def share(part: str, whole: str) -> str:
    """A part of a whole, which is 0 and not nothing where there is no such part."""
    return f"({part} or 0 * {whole}) / {whole}"


def or_zero(query: str) -> str:
    """For what has no series until it first happens."""
    return f"{query} or vector(0)"


# What several dashboards ask.


def calls(*matchers: str, per: str = "") -> str:
    """Calls of a model in a second."""
    return rate(f"{DURATION}_count", CALLS, *matchers, per=per)


def error_share(per: str = "") -> str:
    return share(calls(FAILED, per=per), calls(per=per))


def pass_share(*matchers: str, per: str = "") -> str:
    return share(rate(JUDGED, *matchers, PASSED, per=per), rate(JUDGED, *matchers, DECIDED, per=per))


def cost_per_hour(per: str = "") -> str:
    return f"3600 * {rate(COST, CALLS, per=per)}"


def coverage(per: str = "") -> str:
    """The share of exchanges whose copy reached the pipeline."""
    refused, offered = "sidelight_capture_refused_total", "sidelight_capture_offered_total"
    return f"1 - {rate(refused, SIDELIGHT, per=per)} / {rate(offered, SIDELIGHT, per=per)}"

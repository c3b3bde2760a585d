"""The variables at the top of the dashboards."""

from __future__ import annotations

from deploy.grafana.model import Variable
from deploy.grafana.promql import ASKED, DURATION, OUTCOMES

JOB = Variable("job", "Job", "target_info", "job")
INSTANCE = Variable("instance", "Instance", "target_info", "instance")
MODEL = Variable("model", "Model", f"{DURATION}_count", "gen_ai_request_model")
UPSTREAM = Variable("upstream", "Upstream", f"{ASKED}_count", "server_address")
EVALUATOR = Variable("evaluator", "Evaluator", OUTCOMES, "evaluator", several=False)

OF_SIDELIGHT = (JOB, INSTANCE)
OF_CALLS = (*OF_SIDELIGHT, MODEL, UPSTREAM)
OF_EVALUATOR = (*OF_SIDELIGHT, EVALUATOR, MODEL)

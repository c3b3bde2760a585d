"""EvaluatedExchange → elsewhere, one file each; every name that leaves is in `semconv`."""

from __future__ import annotations

from exporters.debug import Debug
from exporters.langfuse_scores import LangfuseScores
from exporters.otlp import Otlp
from exporters.phoenix_annotations import PhoenixAnnotations
from exporters.prometheus import Prometheus

EXPORTERS = {
    "debug": Debug,
    "langfuse_scores": LangfuseScores,
    "otlp": Otlp,
    "phoenix_annotations": PhoenixAnnotations,
    "prometheus": Prometheus,
}

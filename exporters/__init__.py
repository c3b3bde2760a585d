"""EvaluatedExchange → elsewhere, one file each; every name that leaves is in `semconv`."""

from __future__ import annotations

from exporters.debug import Debug
from exporters.otlp import Otlp
from exporters.prometheus import Prometheus

EXPORTERS = {
    "debug": Debug,
    "otlp": Otlp,
    "prometheus": Prometheus,
}

"""How exchanges get to an exporter: what every exporter has beside its own options, under the Collector's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Final

from pydantic import Field

from config.build import build_one
from config.settings import Duration, Size
from pipeline.delivery import QUEUE_SIZE, Retry
from pipeline.errors import ConfigError


@dataclass(frozen=True)
class SendingQueue:
    """What waits while a destination is slow or away."""

    queue_size: Annotated[int, Field(ge=1)] = QUEUE_SIZE  # exchanges in memory
    storage: bool | None = None  # on disk while the destination is away; None: as the exporter is made for
    max_size: Size = 2**30  # on disk; then the newest are refused
    max_age: Annotated[Duration, Field(gt=0)] = 7 * 86400.0  # older ones on disk are given up


@dataclass(frozen=True)
class RetryOnFailure:
    """When a batch that was not taken is sent again."""

    initial_interval: Annotated[Duration, Field(gt=0)] = Retry.initial_interval
    multiplier: Annotated[float, Field(ge=1)] = Retry.multiplier
    max_interval: Annotated[Duration, Field(gt=0)] = Retry.max_interval
    randomization_factor: Annotated[float, Field(ge=0, le=1)] = Retry.randomization_factor
    max_elapsed_time: Duration | None = None  # 0: never give up; None: that with storage, five minutes without


@dataclass(frozen=True)
class DeliveryOptions:
    """Both sections of one exporter, with what they leave open decided."""

    sending_queue: SendingQueue
    retry_on_failure: RetryOnFailure

    @property
    def durable(self) -> bool:
        return bool(self.sending_queue.storage)

    @property
    def retry(self) -> Retry:
        """As a delivery wants it; what is on disk is never given up unless that is told."""
        given = asdict(self.retry_on_failure)
        if given["max_elapsed_time"] is None:
            given["max_elapsed_time"] = 0.0 if self.durable else Retry.max_elapsed_time
        return Retry(**given)


SECTIONS: Final[dict[str, Any]] = {"sending_queue": SendingQueue, "retry_on_failure": RetryOnFailure}


def own_options(options: Mapping[str, Any] | None) -> Any:
    """An exporter's options without these sections."""
    if not isinstance(options, Mapping):
        return options
    return {name: value for name, value in options.items() if name not in SECTIONS}


def delivery_options(identity: str, options: Mapping[str, Any] | None, durable: bool) -> DeliveryOptions:
    """These sections of an exporter; `durable`: is it made for a queue on disk? ConfigError names the place."""
    problems: list[str] = []
    built: dict[str, Any] = {}
    for name, kind in SECTIONS.items():
        try:
            built[name] = build_one(("exporters", identity, name), (options or {}).get(name) or {}, kind)
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(*problems)
    queue = built["sending_queue"]
    if queue.storage is None:
        built["sending_queue"] = replace(queue, storage=durable)
    return DeliveryOptions(**built)

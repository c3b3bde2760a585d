"""Who is telling: the resource every signal carries."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from socket import gethostname

from opentelemetry.sdk.resources import Resource


def product_version() -> str:
    """The version of the installed distribution."""
    try:
        return version("sidelight")
    except PackageNotFoundError:  # run from a checkout
        return "dev"


def resource_attributes(
    name: str | None = None, environment: str | None = None, attributes: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What the config says over OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, over the defaults.

    Call it once for a process: `service.instance.id` is made new each time.
    """
    named = {"service.name": name, "deployment.environment.name": environment}
    told = {**(attributes or {}), **{key: value for key, value in named.items() if value}}
    known = {key: str(value) for key, value in Resource.create(told).attributes.items()}
    # Jaeger takes spans of unnamed hosts for clock skew, and would move evaluations to before the answer they judge.
    known.setdefault("host.name", gethostname())
    known |= {"telemetry.distro.name": "sidelight", "telemetry.distro.version": product_version()}
    if known["service.name"].startswith("unknown_service"):
        known["service.name"] = "sidelight"
    return known

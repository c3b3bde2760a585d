"""The programs that deploy/ is for take its files: the Collector, Prometheus' own checker, Helm, Kubernetes' types."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import yaml

from config.settings import Settings
from tests.support.configured import port, settings_in
from tests.support.kubernetes import (
    Manifest,
    assert_asked_where_it_answers,
    assert_confined,
    assert_mounts_fit,
    assert_time_to_finish,
    manifests,
    page_of,
    ports_of,
)

pytestmark = pytest.mark.backends

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose"
SIDECAR = ROOT / "deploy" / "kubernetes" / "sidecar.yaml"
DOCUMENT = ROOT / "docs" / "deploying.md"
CHART = ROOT / "deploy" / "helm" / "sidelight"

RELEASE, KUBERNETES = "llm", "1.34.0"
VARIABLES = {"TENANT": "4711", "SALT": "sixteen characters"}
RULES: dict[str, Any] = {
    "groups": [
        {"name": "a", "rules": [{"alert": "Down", "expr": "up == 0", "annotations": {"summary": "{{ $labels.job }}"}}]}
    ]
}
OPTIONAL = {
    "PersistentVolumeClaim",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "ServiceMonitor",
    "PrometheusRule",
}
THE_SAME_IN_EVERY_VERSION = {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
PERSISTENT = ("--set", "persistence.enabled=true")
SCALED = tuple(
    argument
    for part in ("autoscaling", "podDisruptionBudget", "serviceMonitor")
    for argument in ("--set", f"{part}.enabled=true")
)
MOVED = (
    *("--set", "config.proxy.listen=0.0.0.0:8080", "--set", "config.service.health=0.0.0.0:8081"),
    *("--set", "config.exporters.prometheus=null", "--set", "config.proxy.limits.drain=20s"),
)


def said_by(program: str, *arguments: str | Path, told: str = "") -> str:
    """What it wrote, if it ended well."""
    command = [ROOT / ".backends" / program, *arguments]
    result = subprocess.run(command, input=told, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_collector_takes_its_file() -> None:
    said_by("otelcol", "validate", "--config", COMPOSE / "otel-collector.yaml")


def test_prometheus_takes_its_file() -> None:
    assert "SUCCESS" in said_by("promtool", "check", "config", COMPOSE / "prometheus.yaml")


def rendered(*arguments: str | Path, chart: Path = CHART) -> dict[str, list[Manifest]]:
    """What the chart makes of these values."""
    return manifests(said_by("helm", "template", RELEASE, chart, "--kube-version", KUBERNETES, *arguments))


def the_only(found: dict[str, list[Manifest]], kind: str) -> Manifest:
    (manifest,) = found[kind]
    return manifest


def settings_of(found: dict[str, list[Manifest]]) -> Settings:
    return settings_in(the_only(found, "ConfigMap")["data"]["sidelight.yaml"], VARIABLES)


def a_file_of_rules(folder: Path) -> Path:
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump(RULES))
    return file


def assert_kubernetes_takes(found: dict[str, list[Manifest]]) -> None:
    """All but what the Prometheus Operator defines has a place in Kubernetes' own types."""
    own = [
        each for kind in found.values() for each in kind if not each["apiVersion"].startswith("monitoring.coreos.com/")
    ]
    said_by("kubestrict", told=yaml.safe_dump_all(own))


def test_kubernetes_takes_the_sidecar() -> None:
    assert_kubernetes_takes(manifests(SIDECAR.read_text()))


@pytest.mark.parametrize("values", [(), PERSISTENT, SCALED], ids=["defaults", "persistent", "scaled"])
def test_kubernetes_takes_what_the_chart_makes(values: tuple[str, ...]) -> None:
    assert_kubernetes_takes(rendered(*values))


def test_helm_finds_nothing_to_complain_of() -> None:
    said_by("helm", "lint", "--strict", CHART)


@pytest.mark.parametrize("values", [(), PERSISTENT, SCALED, MOVED], ids=["defaults", "persistent", "scaled", "moved"])
def test_the_chart_makes_a_pod_that_fits_its_config(values: tuple[str, ...]) -> None:
    found = rendered(*values)
    settings, template = settings_of(found), the_only(found, "Deployment")["spec"]["template"]
    pod, (container,) = template["spec"], template["spec"]["containers"]
    ports, page = ports_of(container), page_of(settings)
    assert ports["http"] == port(settings.proxy.listen)
    assert ports.get("metrics") == (port(page) if page else None)
    assert_asked_where_it_answers(container, settings)
    assert_confined(pod)
    assert_mounts_fit(pod, container, settings)
    assert_time_to_finish(pod, settings, before=container["lifecycle"]["preStop"]["sleep"]["seconds"])


@pytest.mark.parametrize("values", [(), SCALED, ("--set", "nameOverride=gateway")])
def test_selectors_find_the_pods_and_the_service(values: tuple[str, ...]) -> None:
    found = rendered(*values)
    deployment, service = the_only(found, "Deployment")["spec"], the_only(found, "Service")
    assert set(deployment["selector"]["matchLabels"]) == set(service["spec"]["selector"]) == THE_SAME_IN_EVERY_VERSION
    labels = deployment["template"]["metadata"]["labels"].items()
    assert deployment["selector"]["matchLabels"].items() <= labels
    assert service["spec"]["selector"].items() <= labels
    for budget in found.get("PodDisruptionBudget", ()):
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels
    for monitor in found.get("ServiceMonitor", ()):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert monitor["spec"]["jobLabel"] in service["metadata"]["labels"]


def test_the_service_leads_to_the_containers_ports() -> None:
    found = rendered()
    (container,) = the_only(found, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert {each["targetPort"] for each in the_only(found, "Service")["spec"]["ports"]} <= set(ports_of(container))


def test_the_documents_values_make_a_config_that_is_valid(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```yaml\n(# my-values.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    values = tmp_path / "values.yaml"
    values.write_text(shown)
    settings = settings_of(rendered("--values", values))
    assert set(settings.proxy.upstreams) == {"openai", "anthropic"}
    assert settings.service.name == "llm-gateway"


def test_by_default_nothing_optional_is_made() -> None:
    assert set(rendered()) == {"ServiceAccount", "ConfigMap", "Service", "Deployment"}


def test_every_optional_part_is_made_and_refers_to_the_rest(tmp_path: Path) -> None:
    rules = a_file_of_rules(tmp_path)
    found = rendered(*SCALED, "--set-file", f"prometheusRule.files.alerts={rules}")
    assert set(found) - set(rendered()) == OPTIONAL - {"PersistentVolumeClaim"}
    name = the_only(found, "Deployment")["metadata"]["name"]
    assert the_only(found, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == name
    assert "replicas" not in the_only(found, "Deployment")["spec"]
    assert the_only(found, "ServiceMonitor")["spec"]["endpoints"][0]["port"] == "metrics"
    assert the_only(found, "PrometheusRule")["spec"] == RULES


def test_a_store_that_stays_has_one_writer_at_a_time() -> None:
    found = rendered(*PERSISTENT)
    deployment, claim = the_only(found, "Deployment")["spec"], the_only(found, "PersistentVolumeClaim")
    volumes = [each["persistentVolumeClaim"]["claimName"] for each in deployment["template"]["spec"]["volumes"][1:]]
    assert volumes == [claim["metadata"]["name"]]
    assert (deployment["strategy"]["type"], deployment["replicas"]) == ("Recreate", 1)


def test_a_change_of_the_config_replaces_the_pods() -> None:
    def checksum(*values: str) -> str:
        template = the_only(rendered(*values), "Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    assert checksum() == checksum("--set", "preStopSeconds=4")
    assert checksum() != checksum("--set", "config.service.name=other")


def test_a_reference_is_text_whatever_its_variable_holds() -> None:
    settings = settings_of(rendered("--set", "config.proxy.upstreams.openai.headers.set.x-tenant=${env:TENANT}"))
    assert settings.proxy.upstreams["openai"].headers.set["x-tenant"].get_secret_value() == VARIABLES["TENANT"]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("typo=1", "typo"),
        ("config.prxy.listen=0.0.0.0:4000", "prxy"),
        ("replicas=-1", "/replicas"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("service.port=70000", "/service/port"),
        ("persistence.size=big", "/persistence/size"),
        ("config.proxy.upstreams.openai=null", "/config/proxy/upstreams"),
        ("config.proxy.listen=127.0.0.1:4000", "/config/proxy/listen"),
        ("config.service.health=127.0.0.1:13133", "/config/service/health"),
        ("config.exporters.prometheus.listen=null", "/config/exporters/prometheus"),
        ("config.exporters.store.path=sidelight.db", "/config/exporters/store/path"),
        ("prometheusRule.files.alerts=alerts.yaml", "/prometheusRule/files/alerts"),
        ("persistence.enabled=true,replicas=2", "one writer"),
        ("persistence.enabled=true,autoscaling.enabled=true", "one writer"),
        ("serviceMonitor.enabled=true,config.exporters.prometheus=null", "no page to read"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(value: str, named: str) -> None:
    with pytest.raises(AssertionError) as refusal:
        rendered("--set", value)
    assert named in str(refusal.value)


@pytest.fixture
def chart_with_notes(tmp_path: Path) -> Path:
    """The chart, its notes among its manifests: Helm tells notes alone only when it has a cluster."""
    chart = Path(shutil.copytree(CHART, tmp_path / "chart"))
    notes = indent((chart / "templates" / "NOTES.txt").read_text(), "  ")
    (chart / "templates" / "notes.yaml").write_text(f"apiVersion: v1\nkind: Notes\nsaid: |\n{notes}")
    return chart


def test_notes_say_where_clients_go_and_warn_of_salts_that_differ(chart_with_notes: Path) -> None:
    def notes(*values: str) -> str:
        return str(the_only(rendered(*values, chart=chart_with_notes), "Notes")["said"])

    assert "http://llm-sidelight.default:4000" in notes()
    assert "salt" not in notes()
    assert "salt" in notes("--set", "replicas=2")
    assert "salt" not in notes("--set", "replicas=2", "--set", "config.processors.identify.salt=${env:SALT}")

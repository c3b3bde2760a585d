"""The files of deploy/compose fit together: services, ports, mounts, health. tests/backends asks the programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from config.settings import Settings, parse_duration
from tests.support.configured import patience_beyond_drain, port, settings_in

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
COMPOSE = yaml.safe_load((FOLDER / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
COLLECTOR = yaml.safe_load((FOLDER / "otel-collector.yaml").read_text())
PROMETHEUS = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()

CONFIG = "/etc/sidelight/sidelight.yaml"  # where the image looks
OURS = {"sidelight", "simulator", "traffic"}
JAEGER_OTLP = 4317  # where Jaeger listens unless it is told otherwise


@cache
def sidelight() -> Settings:
    return settings_in((FOLDER / "sidelight.yaml").read_text())


def mounts() -> Iterator[tuple[str, str, str]]:
    """Service, source and target of each."""
    for name, service in SERVICES.items():
        for mount in service.get("volumes", ()):
            source, target, *_ = mount.split(":")
            yield name, source, target


def mounted(service: str, target: str) -> Path:
    """The file of ours that a service sees there."""
    (source,) = (source for name, source, seen in mounts() if (name, seen) == (service, target))
    return FOLDER / source


def option(service: str, name: str) -> str:
    """The value of a `--name=value` of its command."""
    return next(each.partition("=")[2] for each in SERVICES[service]["command"] if each.startswith(f"--{name}="))


def in_network(address: str) -> tuple[str, int]:
    """Service and port of `http://service:4000` or `service:4000`."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    assert parts.hostname in SERVICES, address
    return parts.hostname, parts.port or 80


def has_health_check(service: str) -> bool:
    said = SERVICES[service].get("healthcheck")
    return not said.get("disable") if said else service in OURS and "HEALTHCHECK" in DOCKERFILE


def test_everything_mounted_is_there() -> None:
    files = {source for _, source, _ in mounts() if source.startswith(".")}
    assert [source for source in files if not (FOLDER / source).exists()] == []
    assert {source for _, source, _ in mounts()} - files == set(COMPOSE["volumes"])


def test_every_config_file_is_mounted() -> None:
    sources = {(FOLDER / source).resolve() for _, source, _ in mounts()}
    assert {file for file in FOLDER.iterdir() if file.name != "docker-compose.yaml"} <= sources


def test_each_program_is_told_the_file_that_it_is_given() -> None:
    assert DOCKERFILE.splitlines()[-1] == f'CMD ["run", "--config", "{CONFIG}"]'
    assert mounted("sidelight", CONFIG) == FOLDER / "sidelight.yaml"
    assert mounted("otel-collector", SERVICES["otel-collector"]["command"][1]) == FOLDER / "otel-collector.yaml"
    assert mounted("prometheus", option("prometheus", "config.file")) == FOLDER / "prometheus.yaml"
    rules = {target for name, _, target in mounts() if name == "prometheus" and "/rules/" in target}
    assert {f"/etc/prometheus/rules/{name}.yaml" for name in ("recording", "alerts")} == rules
    assert PROMETHEUS["rule_files"] == ["rules/*.yaml"]


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_or_built_here(name: str) -> None:
    service = SERVICES[name]
    if name in OURS:
        assert (service["image"], service["build"]) == ("sidelight:latest", "../..")
    else:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+:v?\d+\.\d+\.\d+", service["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_who_waits_for_health_waits_for_a_service_that_has_a_check(name: str) -> None:
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        assert wanted["condition"] == ("service_healthy" if has_health_check(other) else "service_started")


def test_all_that_can_be_asked_are_asked_for_their_health() -> None:
    assert {name for name in SERVICES if not has_health_check(name)} == {"traffic", "otel-collector"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_health_check_asks_the_service_itself(name: str) -> None:
    served = {"simulator": 8000, "jaeger": 16686, "prometheus": 9090, "grafana": 3000}
    check = " ".join(SERVICES[name].get("healthcheck", {}).get("test", ()))
    assert (str(served[name]) in check and "127.0.0.1" in check) if check else name not in served


def test_only_this_machine_reaches_what_is_published() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"sidelight", "jaeger", "prometheus", "grafana"}
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", each) for ports in published.values() for each in ports)
    assert published["sidelight"] == [f"127.0.0.1:{port(sidelight().proxy.listen)}:{port(sidelight().proxy.listen)}"]


def test_every_address_leads_to_the_port_that_is_listened_on() -> None:
    exporters = sidelight().exporters
    listening = {
        "sidelight": {port(sidelight().proxy.listen), port(str((exporters["prometheus"] or {})["listen"]))},
        "simulator": {int(SERVICES["simulator"]["command"][3])},
        "otel-collector": {port(COLLECTOR["receivers"]["otlp"]["protocols"]["http"]["endpoint"])},
        "jaeger": {JAEGER_OTLP},
    }
    addresses = [
        *(upstream.url for upstream in sidelight().proxy.upstreams.values()),
        str((exporters["otlp"] or {})["endpoint"]),
        *SERVICES["traffic"]["command"],
        COLLECTOR["exporters"]["otlp_grpc/jaeger"]["endpoint"],
        *PROMETHEUS["scrape_configs"][0]["static_configs"][0]["targets"],
    ]
    assert {service for service, _ in map(in_network, addresses)} == set(listening)
    assert all(number in listening[service] for service, number in map(in_network, addresses))


def test_what_compose_takes_for_the_upstream_is_what_the_file_takes() -> None:
    said = SERVICES["sidelight"]["environment"]["UPSTREAM"].removeprefix("${UPSTREAM:-").removesuffix("}")
    assert {upstream.url for upstream in sidelight().proxy.upstreams.values()} == {said}
    elsewhere = settings_in((FOLDER / "sidelight.yaml").read_text(), {"UPSTREAM": "https://api.openai.com"})
    assert [upstream.url for upstream in elsewhere.proxy.upstreams.values()] == ["https://api.openai.com"]


def test_the_image_asks_for_health_where_sidelight_answers() -> None:
    assert f"http://{sidelight().service.health}/" in DOCKERFILE


def test_the_collector_takes_each_signal_that_sidelight_sends() -> None:
    assert set((sidelight().exporters["otlp"] or {})["signals"]) == set(COLLECTOR["service"]["pipelines"])


def test_prometheus_keeps_exemplars_of_the_job_that_dashboards_name() -> None:
    assert [job["job_name"] for job in PROMETHEUS["scrape_configs"]] == ["sidelight"]
    assert "--enable-feature=exemplar-storage" in SERVICES["prometheus"]["command"]


def test_the_store_is_on_a_volume_and_the_rest_of_the_disk_is_read_only() -> None:
    volumes = [target for name, source, target in mounts() if name == "sidelight" and source in COMPOSE["volumes"]]
    assert [str(Path(sidelight().store.path).parent)] == volumes
    assert all(SERVICES[name]["read_only"] and SERVICES[name]["cap_drop"] == ["ALL"] for name in OURS)


def test_a_stop_leaves_time_for_answers_and_for_what_follows_them() -> None:
    grace = parse_duration(SERVICES["sidelight"]["stop_grace_period"])
    assert isinstance(grace, float)
    assert grace >= sidelight().proxy.limits.drain + patience_beyond_drain()


def test_no_secret_is_written_down() -> None:
    names = {name for service in SERVICES.values() for name in service.get("environment", {})}
    assert {name for name in names if re.search("PASSWORD|SECRET|TOKEN|KEY", name)} == set()


def test_grafana_lets_nobody_log_in_with_a_default_password() -> None:
    said = SERVICES["grafana"]["environment"]
    assert (said["GF_AUTH_BASIC_ENABLED"], said["GF_AUTH_DISABLE_LOGIN_FORM"]) == ("false", "true")

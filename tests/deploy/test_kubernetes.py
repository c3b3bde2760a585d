"""The sidecar's manifest: one pod, two containers, and the application's base URL the only thing that changes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from config.settings import Settings
from tests.support.configured import port, settings_in
from tests.support.kubernetes import (
    assert_asked_where_it_answers,
    assert_confined,
    assert_mounts_fit,
    assert_time_to_finish,
    manifests,
    page_of,
    ports_of,
)

FILE = Path(__file__).parents[2] / "deploy" / "kubernetes" / "sidecar.yaml"
MANIFESTS = manifests(FILE.read_text())
(CONFIG,), (DEPLOYMENT,) = MANIFESTS["ConfigMap"], MANIFESTS["Deployment"]
TEMPLATE = DEPLOYMENT["spec"]["template"]
POD = TEMPLATE["spec"]
(SIDECAR,), (APP,) = POD["initContainers"], POD["containers"]
OF_THE_APP = 30.0  # seconds that Kubernetes gives it unless it is told otherwise


@cache
def settings() -> Settings:
    """What the file says in the pod's environment: a variable that the pod does not set would be an error."""
    return settings_in(CONFIG["data"]["sidelight.yaml"], {each["name"]: "a-value-of-it" for each in SIDECAR["env"]})


def test_sidelight_is_there_before_the_application_and_until_after_it() -> None:
    assert SIDECAR["restartPolicy"] == "Always"
    assert "startupProbe" in SIDECAR


def test_the_application_is_pointed_at_sidelight_which_nobody_else_reaches() -> None:
    said = {each["name"]: each.get("value") for each in APP["env"]}
    assert said["OPENAI_BASE_URL"] == f"http://{settings().proxy.listen}/v1"
    assert settings().proxy.listen.startswith("127.0.0.1:")


def test_keys_come_from_a_secret_and_only_sidelight_has_them() -> None:
    sources = {each["name"]: each.get("valueFrom", {}) for each in (*SIDECAR["env"], *APP["env"][:1])}
    assert set(sources["OPENAI_API_KEY"]) == {"secretKeyRef"}
    assert not [each for each in APP["env"] if "secretKeyRef" in each.get("valueFrom", {})]
    assert set(MANIFESTS) == {"ConfigMap", "Deployment"}


def test_probes_ask_where_sidelight_answers() -> None:
    assert_asked_where_it_answers(SIDECAR, settings())


def test_metrics_are_read_where_they_are() -> None:
    page = page_of(settings())
    assert page is not None
    assert page.startswith("0.0.0.0:")
    annotations = TEMPLATE["metadata"]["annotations"]
    assert int(annotations["prometheus.io/port"]) == port(page) == ports_of(SIDECAR)["metrics"]
    assert annotations["prometheus.io/scrape"] == "true"


def test_the_pod_is_confined() -> None:
    assert_confined(POD)


def test_file_and_store_are_mounted_where_they_are_looked_for() -> None:
    assert_mounts_fit(POD, SIDECAR, settings())
    assert [volume["configMap"]["name"] for volume in POD["volumes"] if "configMap" in volume] == [
        CONFIG["metadata"]["name"]
    ]


def test_there_is_time_for_the_application_and_then_for_sidelight() -> None:
    assert_time_to_finish(POD, settings(), before=OF_THE_APP)


def test_the_selector_finds_the_pods() -> None:
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"].items() <= TEMPLATE["metadata"]["labels"].items()

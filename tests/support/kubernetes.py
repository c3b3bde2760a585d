"""What a pod with Sidelight in it must be, whether it was written by hand or by the chart."""

from __future__ import annotations

from typing import Any

import yaml

from config.settings import Settings
from tests.support.configured import patience_beyond_drain, port

Manifest = dict[str, Any]


def manifests(text: str) -> dict[str, list[Manifest]]:
    """Every document by its kind."""
    found: dict[str, list[Manifest]] = {}
    for document in yaml.safe_load_all(text):
        if document:
            found.setdefault(document["kind"], []).append(document)
    return found


def ports_of(container: Manifest) -> dict[str, int]:
    return {each["name"]: each["containerPort"] for each in container["ports"]}


def page_of(settings: Settings) -> str | None:
    """Where metrics are read, if they are."""
    options = settings.exporters.get("prometheus")
    return str(options["listen"]) if options else None


def assert_asked_where_it_answers(container: Manifest, settings: Settings) -> None:
    """The probes' port is that of the health page, which the kubelet reaches."""
    health = str(settings.service.health)
    assert health.startswith("0.0.0.0:")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert (asked["path"], ports_of(container)[asked["port"]]) == ("/", port(health)), probe


def assert_confined(pod: Manifest) -> None:
    """Nobody in it is root, becomes it, writes to the image or talks to the cluster."""
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0  # the image names its user, and a name cannot be checked
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        said = container["securityContext"]
        assert said["allowPrivilegeEscalation"] is False
        assert said["readOnlyRootFilesystem"] is True
        assert said["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]) == {"requests", "limits"}


def assert_mounts_fit(pod: Manifest, container: Manifest, settings: Settings) -> None:
    """The file is where the image looks, and the store on a volume that can be written."""
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert "configMap" in volumes[mounts["/etc/sidelight"]["name"]]
    store = mounts[settings.store.path.rpartition("/")[0]]
    assert not store.get("readOnly")
    assert {"emptyDir", "persistentVolumeClaim"} & set(volumes[store["name"]])


def assert_time_to_finish(pod: Manifest, settings: Settings, before: float) -> None:
    """After `before` seconds of others, answers in flight end and what is left is told."""
    needed = before + settings.proxy.limits.drain + patience_beyond_drain()
    assert pod["terminationGracePeriodSeconds"] >= needed

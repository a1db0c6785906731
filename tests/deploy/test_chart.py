"""The Helm chart, rendered by Helm itself and held to Kubernetes' own schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.config.file import load_config

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "herald"
IMAGE = {"image": {"repository": "registry.example/herald"}}
ALL = IMAGE | {
    "replicas": 3,
    "env": [{"name": "MLFLOW_TRACKING_TOKEN", "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": "token"}}}],
    "image": {"repository": "registry.example/herald", "tag": "2", "pullSecrets": ["registry"]},
    "kubernetesExecutor": {"enabled": True, "namespace": "jobs"},
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {"enabled": True, "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]},
    "service": {"annotations": {"prometheus.io/scrape": "true"}},
    "serviceAccount": {"annotations": {"example.com/role": "herald"}},
    "volume": {"persistentVolumeClaim": {"claimName": "herald"}},
    "podAnnotations": {"example.com/team": "search"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
}

pytestmark = pytest.mark.long
helm = pytest.importorskip("helm_python", reason="needs Helm: `make deploy-check` installs it")


def render(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what Helm makes of the chart, by kind."""
    rendered = helm.Chart.load(CHART).render(values, name="night-watch", namespace="ml")
    texts = [text for path, text in rendered.items() if not path.endswith("NOTES.txt")]
    found = [each for text in texts for each in yaml.safe_load_all(text) if each]
    by_kind = {each["kind"]: each for each in found}
    assert len(by_kind) == len(found)
    return by_kind


def test_helm_finds_nothing_wrong_with_it():
    for values in (IMAGE, ALL):
        report = helm.lint(CHART, values, strict=True)
        assert report["errors"] == []
        assert [each["error"] for each in report["messages"] if each["severity"] > 1] == []


@pytest.mark.parametrize("values", [IMAGE, ALL])
def test_every_object_is_one_that_kubernetes_takes(values):
    validate = pytest.importorskip("kubernetes_validate")
    for each in render(values).values():
        for release in ("1.30", "1.35"):
            validate.validate(each, release, strict=True)


def test_without_more_it_makes_what_every_herald_needs_and_nothing_else():
    assert render(IMAGE).keys() == {"ConfigMap", "Deployment", "NetworkPolicy", "Service", "ServiceAccount"}
    assert render(ALL).keys() == render(IMAGE).keys() | {"Role", "RoleBinding", "PodDisruptionBudget"}
    assert "NetworkPolicy" not in render(IMAGE | {"networkPolicy": {"enabled": False}})


def test_the_pod_is_no_root_writes_nowhere_but_in_its_folders_and_is_asked_how_it_is():
    pod = render(ALL)["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["image"] == "registry.example/herald:2"
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_secrets_are_mounted_by_name_and_stand_in_no_object():
    objects = render(ALL)
    assert "Secret" not in objects
    volumes = {each["name"]: each for each in objects["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    assert volumes["secrets"]["secret"]["secretName"] == "herald"


def test_the_service_and_the_disruption_budget_find_the_pods():
    objects = render(ALL)
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert objects["Service"]["spec"]["selector"].items() <= labels
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= labels


def test_the_role_is_for_jobs_alone_and_in_their_namespace():
    objects = render(ALL)
    role, binding = objects["Role"], objects["RoleBinding"]
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "jobs"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "night-watch", "namespace": "ml"}]
    given = {each for rule in role["rules"] for each in rule["resources"]}
    assert given == {"jobs", "pods", "pods/log", "events", "resourcequotas", "localqueues", "workloads"}
    assert not any("*" in rule["verbs"] for rule in role["rules"])


def test_its_configuration_is_one_that_herald_reads(tmp_path):
    (tmp_path / "config.toml").write_text(render(IMAGE)["ConfigMap"]["data"]["config.toml"])
    assert load_config(tmp_path / "config.toml").jobs_folder == "/var/lib/herald/jobs"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "repository"),
        (IMAGE | {"replicas": 0}, "replicas"),
        (IMAGE | {"replcas": 2}, "replcas"),
        (IMAGE | {"secretName": ""}, "secretName"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(values, said):
    with pytest.raises(helm.HelmError, match=said):
        helm.Chart.load(CHART).validate_schema(values)

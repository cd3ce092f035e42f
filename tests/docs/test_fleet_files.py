"""The files in `jobs/fleet` are what the tools that read them take, and hold no secret."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

FLEET = Path(__file__).parents[2] / "jobs" / "fleet"


def test_the_compose_file_keeps_to_its_schema() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    ended = subprocess.run([*checker, FLEET / "compose.yaml"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


def test_the_manifests_keep_to_the_schemas_of_kubernetes() -> None:
    found = list(yaml.safe_load_all((FLEET / "kubernetes.yaml").read_text(encoding="utf-8")))
    assert [one["kind"] for one in found] == ["ConfigMap", "Deployment", "PodDisruptionBudget"]
    for one in found:
        kubernetes_validate.validate(one, "1.30", strict=True)


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not here")
    unit = tmp_path / "migrator-worker@1.service"
    unit.write_text((FLEET / "migrator-worker@.service").read_text(encoding="utf-8"))
    ended = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    complaints = [line for line in ended.stderr.splitlines() if unit.name in line]
    assert not complaints, ended.stderr


@pytest.mark.parametrize("file", sorted(FLEET.iterdir()), ids=lambda file: file.name)
def test_secrets_are_named_and_never_present(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "client_secret" in text
    assert not re.search(r"^\s*(PGPASSWORD|MIGRATOR_CLIENT_SECRET|POSTGRES_PASSWORD)\s*[:=]", text, re.MULTILINE)
    assert not re.search(r"postgresql://[^\s/]*:[^\s/@]*@", text)


def worker_commands() -> dict[str, str]:
    """What a shell is given to start a worker, by file, as the shell sees it."""
    compose = yaml.safe_load((FLEET / "compose.yaml").read_text(encoding="utf-8"))
    _, deployment, _ = yaml.safe_load_all((FLEET / "kubernetes.yaml").read_text(encoding="utf-8"))
    unit = (FLEET / "migrator-worker@.service").read_text(encoding="utf-8")
    started = re.search(r"^ExecStart=/bin/sh -c '(.*)'$", unit, re.MULTILINE)
    assert started is not None
    return {
        "compose": compose["services"]["worker"]["command"][-1].replace("$$", "$"),
        "kubernetes": deployment["spec"]["template"]["spec"]["containers"][0]["args"][-1],
        "systemd": started[1].replace("$$", "$"),
    }


@pytest.mark.parametrize("file", worker_commands())
def test_a_worker_is_started_with_the_password_in_its_environment_and_not_in_its_arguments(
    file: str, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("hush\n")
    worker = tmp_path / "migrator"
    worker.write_text('#!/bin/sh\necho "$PGPASSWORD: $*"\n')
    worker.chmod(0o755)
    command, found = re.subn(r"(?<=cat )[^)]+", str(tmp_path / "password"), worker_commands()[file])

    ended = subprocess.run(
        ["sh", "-c", command], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )

    assert found == 1
    assert ended.stdout == "hush: worker --shards 4 --log-format json\n"

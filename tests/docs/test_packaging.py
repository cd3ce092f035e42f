"""What the wheel and the sdist hold, as they are built, and what a user without a clone has of it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from click.testing import CliRunner

from migrator import __version__
from migrator.cli import cli, demo
from migrator.core.errors import UsageError

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


def ours(folder: str) -> set[str]:
    found = (path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file())
    return {name for name in found if "__pycache__" not in name}


def test_the_wheel_has_the_package_with_its_assets_and_the_samples_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    samples = {f"migrator/samples/{name}" for name in ours("jobs") | ours("config")}
    found = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert found == ours("migrator") | samples
    assert {"migrator/py.typed", "migrator/reports/assets/report.js"} <= found


def test_the_wheel_names_its_version_its_licence_and_its_command(wheel: zipfile.ZipFile) -> None:
    info = f"offer_migrator-{__version__}.dist-info"
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())

    assert metadata["License-Expression"] == "Apache-2.0"
    assert wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert "migrator = migrator.__main__:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])


def test_the_sdist_has_all_that_builds_and_tests_it(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}

    assert {"Makefile", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", ".ci/constraints.txt"} <= found
    assert ours("migrator") | ours("jobs") | ours("config") | ours("tests") <= found


def test_the_version_is_said_once() -> None:
    assert PROJECT["version"] == __version__
    assert __version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_samples_are_copied_once(tmp_path: Path) -> None:
    copied = CliRunner().invoke(cli, ["demo", "--copy", str(tmp_path / "tour")])
    again = CliRunner().invoke(cli, ["demo", "--copy", str(tmp_path / "tour")])

    assert copied.exit_code == 0
    assert copied.output.split() == [str(tmp_path / "tour" / name) for name in ("jobs", "config")]
    assert isinstance(again.exception, UsageError)
    assert (tmp_path / "tour/jobs/dps-rename.csv").read_bytes() == (ROOT / "jobs/dps-rename.csv").read_bytes()
    assert (demo.SAMPLES / "config" / "emulator.toml").is_file()

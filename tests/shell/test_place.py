"""Which folders are a place for ledgers."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.core.errors import LedgerFailed
from migrator.ledger.place import file_system, nearest, try_out


def mounts(tmp_path: Path, *mounted: tuple[str, str]) -> Path:
    """Write what Linux would say if these were mounted, one after the other."""
    lines = [
        f"{i} 1 0:{i} / {place} rw,relatime shared:1 - {kind} source rw" for i, (place, kind) in enumerate(mounted)
    ]
    path = tmp_path / "mountinfo"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("kind", "remote", "fleeting"),
    [
        ("ext4", False, False),
        ("xfs", False, False),
        ("nfs4", True, False),
        ("cifs", True, False),
        ("fuse.sshfs", True, False),
        ("fuse.s3fs", True, False),
        ("fuseblk", False, False),
        ("tmpfs", False, True),
        ("overlay", False, True),
    ],
)
def test_a_file_system_is_remote_or_fleeting_by_its_kind(
    tmp_path: Path, kind: str, remote: bool, fleeting: bool
) -> None:
    found = file_system(tmp_path, mounts(tmp_path, ("/", "ext4"), (str(tmp_path), kind)))

    assert found is not None
    assert (found.kind, found.mount, found.remote, found.fleeting) == (kind, tmp_path, remote, fleeting)


def test_what_is_mounted_nearest_and_last_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a b"
    inner.mkdir()
    table = mounts(tmp_path, ("/", "ext4"), (f"{tmp_path}/a\\040b", "nfs"), (f"{tmp_path}/a\\040b", "xfs"))

    assert getattr(file_system(inner, table), "kind", "") == "xfs"
    assert getattr(file_system(tmp_path, table), "kind", "") == "ext4"


def test_a_name_that_only_begins_alike_is_another_place(tmp_path: Path) -> None:
    (tmp_path / "runs2").mkdir()

    found = file_system(tmp_path / "runs2", mounts(tmp_path, ("/", "ext4"), (f"{tmp_path}/runs", "nfs")))

    assert getattr(found, "kind", "") == "ext4"


def test_a_system_that_does_not_say_is_not_guessed_at(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "nothing") is None


def test_a_folder_that_is_not_there_yet_is_where_the_nearest_one_is(tmp_path: Path) -> None:
    assert nearest(tmp_path / "a" / "b") == tmp_path
    assert nearest(tmp_path) == tmp_path


def test_trying_out_leaves_nothing(tmp_path: Path) -> None:
    try_out(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_found_out() -> None:
    with pytest.raises(LedgerFailed):
        try_out(Path("/proc"))

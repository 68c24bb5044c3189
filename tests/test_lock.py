"""A locked bundle says which of its files are not as they were."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest

from medkit import lock


@pytest.fixture
def locked(tiny_bundle, medkit):
    """Return a tiny bundle that is locked, and its pin."""
    root = tiny_bundle({"docs/README.md": "a card", "LICENSE": "Apache"})
    code, out, _ = medkit("lock", root)
    assert code == 0
    pin = hashlib.sha256((root / "configs/medkit.lock").read_bytes()).hexdigest()
    assert out.splitlines()[0] == f"locked 5 files in {root / 'configs/medkit.lock'}"
    assert f"--pin {pin}" in out
    return root, pin


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not on this machine")
def test_sha256sum_verifies_the_lock_and_names_what_changed(locked):
    root, _ = locked
    command = ["sha256sum", "--check", "--strict", "configs/medkit.lock"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 5
    (root / "docs/README.md").write_text("another card")
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "docs/README.md: FAILED" in done.stdout


def test_an_unchanged_bundle_is_checked_and_run(locked, medkit):
    root, pin = locked
    assert medkit("check", root)[0] == 0
    assert medkit("run", root, "--pin", pin)[0] == 0
    assert medkit("run", root, "--pin", pin.upper(), "--trust")[0] == 0


def change(root):
    (root / "docs/README.md").write_text("another card")


def remove(root):
    (root / "LICENSE").unlink()


def add(root):
    (root / "models").mkdir()
    (root / "models/model.json").write_text("{}")


def hide(root):
    (root / ".hidden").write_text("")


def link(root):
    (root.parent / "README.md").write_text("a card")
    (root / "docs/README.md").unlink()
    (root / "docs/README.md").symlink_to(root.parent / "README.md")


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (change, "docs/README.md is changed"),
        (remove, "LICENSE is missing"),
        (add, "models/model.json is added"),
        (hide, ".hidden is added"),
        (link, "docs/README.md is a link that leads out of the bundle"),
    ],
)
def test_a_file_that_is_not_as_it_was_locked_is_named(alter, message, locked, medkit):
    root, pin = locked
    alter(root)
    code, out, _ = medkit("check", root)
    assert code == 2
    assert f"ERROR {message}" in out
    for words in ([], ["--dry-run"], ["--pin", pin], ["--pin", pin, "--trust"]):
        code, out, err = medkit("run", root, *words)
        assert (code, out) == (2, "")
        assert message in err
        assert f"if the change is yours, run medkit lock {root}" in err
    assert medkit("run", root, "--dry-run", "--trust")[0] == 0


def test_a_changed_lock_is_another_bundle_for_who_keeps_the_pin(locked, medkit):
    root, pin = locked
    change(root)
    assert medkit("lock", root)[0] == 0
    assert medkit("run", root, "--dry-run")[0] == 0
    code, _, err = medkit("run", root, "--pin", pin)
    assert code == 2
    assert "it is another bundle or version" in err


def test_a_pin_needs_a_lock(tiny_bundle, medkit):
    code, _, err = medkit("run", tiny_bundle(), "--pin", "0" * 64)
    assert code == 2
    assert "has no configs/medkit.lock" in err


@pytest.mark.parametrize("text", ["no hash", "\x00\xff", "0" * 64 + " configs/count.yaml"])
def test_a_lock_that_cannot_be_read_is_one_line(text, locked, medkit):
    root, _ = locked
    (root / "configs/medkit.lock").write_bytes(text.encode("latin-1"))
    for command in ("check", "run"):
        code, _, err = medkit(command, root)
        assert code == 2
        assert len(err.splitlines()) == 1
        assert "medkit.lock" in err


def test_what_cannot_be_locked_is_named(locked, medkit):
    root, _ = locked
    link(root)
    code, _, err = medkit("lock", root)
    assert code == 2
    assert "docs/README.md is no plain file" in err
    code, _, err = medkit("lock", root / "docs")
    assert code == 2
    assert "has no folder configs" in err


def test_git_s_own_files_are_not_locked_and_a_new_lock_is_the_same(locked):
    root, pin = locked
    (root / ".git").mkdir()
    (root / ".git/HEAD").write_text("ref")
    assert lock.changes(root) == []
    assert lock.write(root) == (5, pin)


def test_a_folder_that_is_called_as_git_s_own_is_locked_below_the_top(locked):
    root, _ = locked
    (root / "docs/.git").mkdir()
    (root / "docs/.git/payload.txt").write_text("not git's")
    assert lock.changes(root) == ["docs/.git/payload.txt is added"]

"""An export is signed, and what somebody else made or changed is told from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import p5core
from p5core.cli import build
from p5core.plugins.discovery import load_plugins
from p5export.bundle.bundle import seal

PEM = serialization.Encoding.PEM


def p5(*arguments: object) -> Result:
    return CliRunner().invoke(build(load_plugins()), [str(one) for one in arguments])


def write_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """A private key and the public one that belongs to it."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))
    public.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_keys(tmp_path_factory.mktemp("keys"), "own")


@pytest.fixture(scope="module")
def signed(run: p5core.Run, keys: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signed") / "export"
    result = p5("export", run.path, "-o", folder, "--sign", keys[0], "--zip")
    assert result.exit_code == 0, result.output
    return folder


def test_a_signed_export_is_verified_as_folder_and_as_zip(signed: Path, keys: tuple[Path, Path]) -> None:
    for where in (signed, signed.with_suffix(".zip")):
        result = p5("verify", where, "--key", keys[1])
        assert result.exit_code == 0, result.output
        assert f"Signed with the key that belongs to {keys[1]}." in result.output
        assert "Signed" not in p5("verify", where).output


def test_what_others_sign_change_or_leave_unsigned_is_refused(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    _, other = write_keys(tmp_path, "other")
    assert "was not signed with the key that belongs to" in p5("verify", signed, "--key", other).output
    copy = Path(shutil.copytree(signed, tmp_path / "copy"))
    manifest = json.loads((copy / "p5.json").read_text())
    manifest["metrics"]["model"]["ndcg@10"] = 0.95
    (copy / "p5.json").write_text(json.dumps({**manifest, "seal": seal(manifest)}))
    assert p5("verify", copy).exit_code == 0  # whoever can write the seal can write anything: hence signatures
    refused = p5("verify", copy, "--key", keys[1])
    assert refused.exit_code == 1
    assert "or p5.json was changed since" in refused.output
    for content in (b"", b"AAAA", b"\xff\xfe", (signed / "p5.sig").read_bytes()[:-9]):
        (copy / "p5.sig").write_bytes(content)
        assert "was not signed" in p5("verify", copy, "--key", keys[1]).output
    (copy / "p5.sig").unlink()
    assert "is not signed: it has no p5.sig" in p5("verify", copy, "--key", keys[1]).output


def test_what_is_no_signature_or_no_file_of_the_export_is_told_without_a_key(
    signed: Path, run: p5core.Run, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(signed, tmp_path / "copy"))
    (copy / "p5.sig").write_text("x")
    assert "it is no Ed25519 signature" in p5("verify", copy).output
    (copy / "p5.sig").unlink()
    assert p5("verify", copy).exit_code == 0
    (copy / "extra.bin").write_text("x")
    assert "extra.bin is no file of the export. Move it away." in p5("verify", copy).output
    replaced = p5("export", run.path, "-o", Path(shutil.copytree(signed, tmp_path / "again")))
    assert "was signed, and this one is not: give --sign KEY" in replaced.output


def test_what_is_no_key_is_named_before_the_work(run: p5core.Run, keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    locked = tmp_path / "locked.pem"
    encryption = serialization.BestAvailableEncryption(b"secret")
    key = Ed25519PrivateKey.generate()
    locked.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption))
    curve = tmp_path / "curve.pem"
    other_kind = ec.generate_private_key(ec.SECP256R1())
    curve.write_bytes(other_kind.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    for wrong in (public, locked, curve):
        refused = p5("export", run.path, "-o", tmp_path / "export", "--sign", wrong)
        assert refused.exit_code == 1
        assert f"{wrong} holds no private Ed25519 key" in refused.output
        assert not (tmp_path / "export").exists()
    assert "holds no public Ed25519 key" in p5("verify", tmp_path, "--key", private).output

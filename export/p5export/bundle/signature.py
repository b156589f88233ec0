"""Signatures of exports: Ed25519 (RFC 8032) over p5.json, which holds the hashes of all other files."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from p5core.errors import ConfigError, ExportError
from p5core.system.files import write_text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

Key = TypeVar("Key")

__all__ = ["SIGNATURE", "check_form", "check_signature", "read_private_key", "sign"]

SIGNATURE = "p5.sig"
"""File of the signature, in Base64."""

MISSING = "Signatures need the package cryptography: pip install 'p5rec[sign]'"


def sign(folder: Path, key: Ed25519PrivateKey) -> None:
    """Write the signature of an export into its folder."""
    signature = key.sign((folder / "p5.json").read_bytes())
    write_text(folder / SIGNATURE, base64.b64encode(signature).decode() + "\n")


def check_signature(folder: Path, key: Path) -> None:
    """Raise ExportError unless p5.json is as the owner of the public key signed it; ConfigError for what is no key."""
    public = _read_public_key(key)
    from cryptography.exceptions import InvalidSignature

    path = folder / SIGNATURE
    if not path.is_file():
        raise ExportError(f"{folder} is not signed: it has no {SIGNATURE}. Export the run with --sign KEY.")
    try:
        public.verify(base64.b64decode(path.read_bytes().strip(), validate=True), (folder / "p5.json").read_bytes())
    except (InvalidSignature, binascii.Error, ValueError):
        raise ExportError(
            f"{folder} was not signed with the key that belongs to {key}, or p5.json was changed since."
        ) from None


def check_form(folder: Path) -> None:
    """Raise ExportError for a file of a signature that can be none; needs no key."""
    path = folder / SIGNATURE
    if not path.exists():
        return
    try:
        is_signature = path.is_file() and len(base64.b64decode(path.read_bytes().strip(), validate=True)) == 64
    except (binascii.Error, ValueError):
        is_signature = False
    if not is_signature:
        raise ExportError(f"{path} is damaged: it is no Ed25519 signature. Export the run again with --sign KEY.")


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The key that signs: Ed25519 in PEM, without a password; raises ConfigError for another."""
    serialization, ed25519 = _cryptography()
    key: Ed25519PrivateKey | None = _read_key(
        path, partial(serialization.load_pem_private_key, password=None), ed25519.Ed25519PrivateKey
    )
    if key is None:
        raise ConfigError(
            f"{path} holds no private Ed25519 key in PEM without a password. Make one: "
            "openssl genpkey -algorithm ed25519 -out key.pem"
        )
    return key


def _read_public_key(path: Path) -> Ed25519PublicKey:
    serialization, ed25519 = _cryptography()
    key: Ed25519PublicKey | None = _read_key(path, serialization.load_pem_public_key, ed25519.Ed25519PublicKey)
    if key is None:
        raise ConfigError(
            f"{path} holds no public Ed25519 key in PEM. Take it from the private one: "
            "openssl pkey -in key.pem -pubout -out key.pub.pem"
        )
    return key


def _cryptography() -> tuple[ModuleType, ModuleType]:
    """The modules that read and hold keys; raises ConfigError when the package is missing."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise ConfigError(MISSING) from None
    return serialization, ed25519


def _read_key(path: Path, read: Callable[[bytes], object], kind: type[Key]) -> Key | None:
    """The key in a file; None for anything that is no key of this kind."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = read(path.read_bytes())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, kind) else None

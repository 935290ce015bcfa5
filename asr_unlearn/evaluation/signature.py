"""Signatures of deletion records: Ed25519, with keys in PEM files such as OpenSSL makes."""

from pathlib import Path
from typing import Any

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.extras import need_extra


def signing_key(path: Path) -> Any:
    """The private key in a PEM file; raises InputError where there is none that can sign."""
    need_extra("sign", "--sign")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _content("--sign", path)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(
            f"--sign {path}: no Ed25519 private key without a password; make one with "
            "`openssl genpkey -algorithm ed25519 -out key.pem`"
        )
    return key


def _content(flag: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{flag} {path}: {error.strerror}; give the PEM file of a key") from error


def sign(digest: str, key: Any) -> str:
    """The signature of a digest by a key of `signing_key`, in hex."""
    signature: bytes = key.sign(digest.encode())
    return signature.hex()


def is_signed(digest: str, signature: object, public_key: Path) -> bool:
    """Whether the owner of the key has signed the digest.

    Args:
        digest: what was signed.
        signature: in hex; anything else is none.
        public_key: PEM file.

    Raises:
        InputError: the file holds no such key.
    """
    need_extra("sign", "--verify_key")
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = _content("--verify_key", public_key)
    try:
        key = load_pem_public_key(content)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(
            f"--verify_key {public_key}: no Ed25519 public key; make it from the private one with "
            "`openssl pkey -in key.pem -pubout -out public.pem`"
        )
    try:
        key.verify(bytes.fromhex(str(signature)), digest.encode())
    except (InvalidSignature, ValueError):
        return False
    return True

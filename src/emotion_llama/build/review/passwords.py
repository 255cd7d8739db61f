"""Passwords as salted hashes (scrypt, of the standard library)."""

from __future__ import annotations

import hashlib
import secrets

from emotion_llama.errors import UsageError

SHORTEST_PASSWORD = 8
_COST, _BLOCK, _PARALLEL = 2**14, 8, 1  # about 50 ms and 16 MiB a try


def hash_password(password: str) -> str:
    """Give a hash with its own salt and parameters. Raises `UsageError` for a password that is too short."""
    if len(password) < SHORTEST_PASSWORD:
        raise UsageError(f"expected a password of at least {SHORTEST_PASSWORD} characters, found {len(password)}")
    salt = secrets.token_bytes(16)
    return f"scrypt${_COST}${_BLOCK}${_PARALLEL}${salt.hex()}${_digest(password, salt, _COST, _BLOCK, _PARALLEL)}"


def password_fits(password: str, hashed: str) -> bool:
    """Whether `hashed` was made from this password."""
    _, cost, block, parallel, salt, digest = hashed.split("$")
    found = _digest(password, bytes.fromhex(salt), int(cost), int(block), int(parallel))
    return secrets.compare_digest(found, digest)


def _digest(password: str, salt: bytes, cost: int, block: int, parallel: int) -> str:
    return hashlib.scrypt(password.encode("utf-8"), salt=salt, n=cost, r=block, p=parallel, dklen=32).hex()

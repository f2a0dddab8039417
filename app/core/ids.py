"""Ids that say what they name and sort by the time they were made."""

import secrets
import time
from typing import Literal

Kind = Literal["model", "dataset", "job", "study", "key", "event"]
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(kind: Kind) -> str:
    """`job_` + 10 characters of milliseconds + 12 random ones, in Crockford's base 32 (lower case)."""
    return f"{kind}_{_encode(time.time_ns() // 1_000_000, 10)}{_encode(secrets.randbits(60), 12)}"


def _encode(number: int, length: int) -> str:
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(length)))

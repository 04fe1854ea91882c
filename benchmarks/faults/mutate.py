"""What is done to the bytes of a file: what transfers, editors and malice do."""

from __future__ import annotations

from random import Random

TOKENS = [
    b"", b" ", b"\0", b"\n", b"\r\n", b",", b'"', b"'", b"\\", b"{", b"[", b"]", b"null", b"NaN",
    b"-1", b"1e999", b"0x1", b"9" * 400, b"true", b"\xff", b"\xef\xbb\xbf", "\u200b".encode(),
    "\u202e".encode(), "１".encode(), b"=1+1", b"NA", b"nan", b"None", b"inf", b"1.0", b"01", b"\t",
]  # fmt: skip


def mutate(draw: Random, content: bytes) -> tuple[bytes, str]:
    """One to three changes of some bytes; and what was done, in words."""
    told = []
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        spot = draw.randrange(len(content) + 1)
        end = min(spot + draw.choice([1, 2, 8, 60]), len(content))
        how = draw.choice(["flip", "flip", "insert", "replace", "remove", "repeat", "cut"])
        token = draw.choice(TOKENS)
        if how == "flip" and spot < len(content):
            flipped = bytes([content[spot] ^ 1 << draw.randrange(8)])
            content = content[:spot] + flipped + content[spot + 1 :]
        elif how == "insert":
            content = content[:spot] + token + content[spot:]
        elif how == "replace":
            content = content[:spot] + token + content[end:]
        elif how == "remove":
            content = content[:spot] + content[end:]
        elif how == "repeat":
            content = content[:end] + content[spot:end] + content[end:]
        elif how == "cut":
            content = content[:spot] if draw.random() < 0.3 else content[: len(content) - 1]
        told.append(
            f"{how} at {spot}" + (f" {token[:12]!r}" if how in ("insert", "replace") else "")
        )
    return content, ", ".join(told)

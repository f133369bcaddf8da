"""What the environment decides; a wrong value ends the program with a clear line."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

SECRET_LENGTH_MIN = 8


@dataclass(frozen=True)
class Settings:
    """How one process of the service behaves."""

    secret: bytes
    port: int
    inbox: Path
    version: str


def read(environment=os.environ) -> Settings:
    """Reads them, or ends the program."""
    port, secret = environment.get("PORT", "8000"), environment.get("WEBHOOK_SECRET", "")
    if not port.isdecimal() or int(port) > 65535:
        sys.exit(f"webhook: PORT is {port!r}; it must be a number up to 65535")
    if len(secret) < SECRET_LENGTH_MIN:
        sys.exit(f"webhook: WEBHOOK_SECRET must have at least {SECRET_LENGTH_MIN} characters")
    version = Path("VERSION").read_text().strip()
    return Settings(secret.encode(), int(port), Path("data/inbox.jsonl"), version)

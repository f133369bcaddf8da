"""What the environment decides; a wrong value ends the program with a clear line."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How one process of the worker behaves."""

    host: str
    port: int
    key: str
    playlist: Path
    heartbeat: Path


def read(environment=os.environ) -> Settings:
    """Reads them, or ends the program."""
    host, _, port = environment.get("INGEST", "").rpartition(":")
    if not host or not port.isdecimal():
        sys.exit("streamer: cannot begin: INGEST must be host:port")
    key = environment.get("STREAM_KEY", "")
    if not key:
        sys.exit("streamer: cannot begin: STREAM_KEY is not set")
    return Settings(host, int(port), key, Path("playlist.m3u8"), Path("data/heartbeat"))

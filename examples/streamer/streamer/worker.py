"""The worker: reads a playlist, connects to the channel's ingest, sends segment after segment in real time."""

import socket
import sys
import time
from pathlib import Path

import m3u8

from streamer.settings import Settings

PAUSE_MAX = 30.0
TIMEOUT = 10.0


def segments(playlist: Path) -> list[m3u8.Segment]:
    """What is sent, in order; a playlist without segments ends the program."""
    found = list(m3u8.loads(playlist.read_text()).segments)
    if not found:
        sys.exit(f"streamer: cannot begin: {playlist} has no segments")
    return found


def connect(settings: Settings) -> socket.socket:
    """A connection on which the ingest has taken the key."""
    connection = socket.create_connection((settings.host, settings.port), timeout=TIMEOUT)
    connection.sendall(f"{settings.key}\n".encode())
    answer = connection.makefile().readline().strip()
    if answer != "welcome":
        connection.close()
        raise ConnectionError(f"the ingest says {answer!r}")
    return connection


def beat(heartbeat: Path, uri: str) -> None:
    """Says that this was sent now; who reads it sees a whole line."""
    heartbeat.parent.mkdir(exist_ok=True)
    new = heartbeat.with_suffix(".new")
    new.write_text(f"{time.time():.0f} {uri}\n")
    new.replace(heartbeat)


def stream(settings: Settings, playlist: list[m3u8.Segment]) -> None:
    """Sends the playlist until the connection breaks."""
    with connect(settings) as connection:
        print(f"streamer: connected to {settings.host}:{settings.port}", flush=True)
        while True:
            for segment in playlist:
                connection.sendall(f"{segment.uri}\n".encode())
                beat(settings.heartbeat, segment.uri)
                time.sleep(segment.duration)


def run(settings: Settings) -> None:
    """Streams for ever; connects again, with growing pauses, when the connection breaks."""
    playlist, pause = segments(settings.playlist), 1.0
    while True:
        began = time.monotonic()
        try:
            stream(settings, playlist)
        except OSError as error:
            print(f"streamer: lost the ingest: {error}", flush=True)
        pause = 1.0 if time.monotonic() - began > PAUSE_MAX else min(2 * pause, PAUSE_MAX)
        time.sleep(pause)

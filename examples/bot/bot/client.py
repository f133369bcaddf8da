"""The bot: stays in its channel, and answers."""

import time

from bot.commands import Memory, answer
from bot.settings import Settings
from bot.wire import Wire

PAUSE_MAX = 30.0


def attend(settings: Settings, memory: Memory) -> None:
    """Answers until the connection breaks."""
    with Wire(settings.host, settings.port, timeout=None) as wire:
        wire.join(settings.channel, settings.name, password=settings.password, version=settings.version)
        print(f"bot: connected to {settings.channel} as {settings.name}, version {settings.version}", flush=True)
        while True:
            message = wire.receive()
            if message.get("event") != "said" or message.get("by") == settings.name:
                continue
            said = answer(str(message.get("text")), str(message.get("by")), settings.version, memory)
            if said:
                wire.send(do="say", text=said)


def run(settings: Settings) -> None:
    """Attends for ever; connects again, with growing pauses, when the connection breaks."""
    memory, pause = Memory(settings.database), 0.5
    while True:
        began = time.monotonic()
        try:
            attend(settings, memory)
        except OSError as error:
            print(f"bot: lost the server: {error}", flush=True)
        pause = 0.5 if time.monotonic() - began > PAUSE_MAX else min(2 * pause, PAUSE_MAX)
        time.sleep(pause)

"""Attends its channel until TERM: `python3 -m bot`."""

import signal
import sys

from bot import client, settings

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
client.run(settings.read())

"""Streams until TERM."""

import signal
import sys

from streamer import settings, worker

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
worker.run(settings.read())

"""The service: greets at /, tells whether it is well at /health, and ends politely on TERM."""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import phrasebook

from greeter import VERSION


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server_version = f"greeter/{VERSION}"

    def do_GET(self):
        if self.path == "/":
            self.answer(200, "text/plain; charset=utf-8", phrasebook.sentence(self.server.greeting, "world") + "\n")
        elif self.path == "/health":
            self.answer(200, "application/json", json.dumps({"status": "ok", "version": VERSION}) + "\n")
        else:
            self.answer(404, "text/plain; charset=utf-8", "nothing here\n")

    def answer(self, status, content_type, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        print(f"{self.address_string()} {format % args}", flush=True)


class Server(ThreadingHTTPServer):
    """Listens on this machine only."""

    # Requests under way are answered before the process ends.
    daemon_threads = False

    def __init__(self, port, greeting):
        super().__init__(("127.0.0.1", port), Handler)
        self.greeting = greeting


def settings(environment):
    """Reads port and greeting; a wrong port ends the program with a clear line."""
    text = environment.get("PORT", "8000")
    if not text.isdecimal() or int(text) > 65535:
        sys.exit(f"greeter: PORT is {text!r}; it must be a number up to 65535")
    return int(text), environment.get("GREETING", "Hello")


def main():
    """Serves until TERM or INT."""
    server = Server(*settings(os.environ))

    def stop(number, frame):
        print("greeter: stopping", flush=True)
        # shutdown() waits for the loop that this handler interrupts, so it needs a thread of its own.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"greeter {VERSION} listens on port {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    print("greeter: stopped", flush=True)

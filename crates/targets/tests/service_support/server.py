"""A service for the tests of probes: what it does is told by its arguments, name=value."""

import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

options = dict(argument.split("=", 1) for argument in sys.argv[1:])
begun = time.monotonic()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if "slow" in options:
            time.sleep(float(options["slow"]))
        sick = "sick_after" in options and time.monotonic() - begun > float(options["sick_after"])
        sick = sick or ("well_after" in options and time.monotonic() - begun < float(options["well_after"]))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/health")
            self.end_headers()
            return
        self.send_response(500 if sick else 200)
        self.send_header("X-Release", options.get("version", "1"))
        self.end_headers()
        if "trickle" in options:
            while True:
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(0.05)
        self.wfile.write(options.get("body", "ok").encode() * int(options.get("times", "1")))

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    allow_reuse_address = True


if "die_after" in options:
    def die():
        time.sleep(float(options["die_after"]))
        print("fatal: out of luck", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=die, daemon=True).start()

address = ("127.0.0.1", int(options["port"]))
if "silent" in options:
    listener = socket.create_server(address)
    print("listening", flush=True)
    signal.pause()

server = Server(address, Handler)
print("listening", flush=True)
server.serve_forever()

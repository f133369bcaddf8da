"""What travels between server and clients: one JSON object a line."""

import json
import socket

LINE_BYTES_MAX = 8192


class Wire:
    """A connection that speaks in objects."""

    def __init__(self, host: str, port: int, timeout: float | None):
        self.socket = socket.create_connection((host, port), timeout=10)
        self.socket.settimeout(timeout)
        self.lines = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def send(self, **message) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict:
        """The next message; what is none ends the connection."""
        line = self.lines.readline(LINE_BYTES_MAX)
        if not line.endswith(b"\n"):
            raise ConnectionError("the server is gone" if not line else "the server sent a line without an end")
        try:
            message = json.loads(line)
        except ValueError as error:
            raise ConnectionError(f"the server sent what is no message: {error}") from error
        if not isinstance(message, dict):
            raise ConnectionError("the server sent what is no message")
        return message

    def join(self, channel: str, name: str, **more) -> dict:
        """Enters a channel; the answer names who is there."""
        self.send(do="join", channel=channel, name=name, **more)
        answer = self.receive()
        if answer.get("event") != "joined":
            raise ConnectionError(f"the server says {answer.get('error', answer)}")
        return answer

"""The worker as its channel sees it: somebody who connects, gives the key, and sends."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A wheel of pure Python can be imported as it lies there.
WHEEL = next((ROOT / "wheels").glob("m3u8-*.whl"))
KEY = os.urandom(8).hex()


def start(directory, **variables):
    """Starts the worker in a directory of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{WHEEL}", "STREAM_KEY": KEY, **variables}
    command = [sys.executable, "-B", "-m", "streamer"]
    return subprocess.Popen(command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class StreamerTest(unittest.TestCase):
    def setUp(self):
        self.ingest = socket.create_server(("127.0.0.1", 0))
        self.ingest.settimeout(30)
        self.addCleanup(self.ingest.close)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        (self.directory / "playlist.m3u8").write_text("#EXTM3U\n#EXTINF:0.01,\none.ts\n#EXTINF:0.01,\ntwo.ts\n")

    def start(self, **variables):
        port = self.ingest.getsockname()[1]
        process = start(self.directory, **{"INGEST": f"127.0.0.1:{port}", **variables})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def accept(self, answer):
        """The channel's end of a connection, after it answered to the key."""
        connection, _ = self.ingest.accept()
        connection.settimeout(30)
        self.addCleanup(connection.close)
        lines = connection.makefile()
        self.addCleanup(lines.close)
        self.assertEqual(lines.readline(), f"{KEY}\n")
        connection.sendall(answer)
        return connection, lines

    def test_it_sends_the_playlist_again_and_again_and_says_that_it_does(self):
        process = self.start()
        _, lines = self.accept(b"welcome\n")

        self.assertEqual([lines.readline().strip() for _ in range(3)], ["one.ts", "two.ts", "one.ts"])
        self.assertIn("streamer: connected to 127.0.0.1", process.stdout.readline())
        self.assertEqual(subprocess.run([ROOT / "bin/healthy"], cwd=self.directory, capture_output=True).returncode, 0)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=30), 0)

    def test_a_channel_that_sends_it_away_is_tried_again(self):
        process = self.start()
        self.accept(b"go away\n")
        self.assertEqual(process.stdout.readline(), "streamer: lost the ingest: the ingest says 'go away'\n")

        _, lines = self.accept(b"welcome\n")

        self.assertEqual(lines.readline(), "one.ts\n")

    def test_without_a_heartbeat_it_is_not_healthy(self):
        self.assertEqual(subprocess.run([ROOT / "bin/healthy"], cwd=self.directory, capture_output=True).returncode, 1)

    def test_what_cannot_be_streamed_is_refused_with_a_clear_line(self):
        (self.directory / "playlist.m3u8").write_text("#EXTM3U\n")
        for variables, words in [
            ({}, "playlist.m3u8 has no segments"),
            ({"INGEST": "nowhere"}, "INGEST must be host:port"),
            ({"STREAM_KEY": ""}, "STREAM_KEY is not set"),
        ]:
            with self.subTest(**variables):
                output, _ = self.start(**variables).communicate(timeout=30)
                self.assertIn(f"streamer: cannot begin: {words}", output)


if __name__ == "__main__":
    unittest.main()

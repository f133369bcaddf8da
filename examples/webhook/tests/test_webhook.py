"""The service as its users see it: a process that is asked over HTTP. Needs what requirements.txt names."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRET = os.urandom(16).hex()
sys.path.insert(0, str(ROOT))

from webhook.app import BODY_BYTES_MAX, sign


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(directory, **variables):
    """Starts the service in a directory of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-B", "-m", "webhook"]
    return subprocess.Popen(command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class WebhookTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        Path(directory.name, "VERSION").write_text("7\n")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = start(directory.name, PORT=str(port), WEBHOOK_SECRET=SECRET)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.get("/health")
            except urllib.error.URLError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.fail("it never answered")
                time.sleep(0.05)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return json.load(answer)

    def notify(self, body, signature=None):
        """The status of what is answered."""
        headers = {"X-Signature": signature or sign(SECRET.encode(), body)}
        request = urllib.request.Request(self.url + "/notify", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def test_health_tells_the_version(self):
        self.assertEqual(self.get("/health"), {"status": "ok", "version": "7"})

    def test_a_signed_notification_is_kept(self):
        self.assertEqual(self.notify(b'{"title": "It rains"}'), 202)
        self.assertEqual([one["title"] for one in self.get("/notifications")], ["It rains"])

    def test_what_is_signed_by_nobody_is_refused(self):
        self.assertEqual(self.notify(b'{"title": "It rains"}', "sha256=" + "0" * 64), 401)
        self.assertEqual(self.get("/notifications"), [])

    def test_what_is_no_notification_is_refused(self):
        for body, status in [(b"{}", 422), (b"no json", 422), (b'"' + b"x" * BODY_BYTES_MAX + b'"', 413)]:
            with self.subTest(length=len(body)):
                self.assertEqual(self.notify(body), status)

    def test_term_ends_it_politely(self):
        self.process.send_signal(signal.SIGTERM)
        self.assertIn(self.process.wait(timeout=15), (0, -signal.SIGTERM))


class SettingsTest(unittest.TestCase):
    def test_a_wrong_value_is_refused_with_a_clear_line(self):
        for variables, words in [({"PORT": "many"}, "PORT is 'many'"), ({"WEBHOOK_SECRET": "short"}, "WEBHOOK_SECRET must")]:
            with self.subTest(**variables):
                process = start(ROOT, **{"WEBHOOK_SECRET": SECRET, **variables})
                output, _ = process.communicate(timeout=30)
                self.assertEqual(process.returncode, 1)
                self.assertIn(words, output)


if __name__ == "__main__":
    unittest.main()

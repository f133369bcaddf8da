"""The service as its users see it: a process that is asked over HTTP."""

import json
import os
import signal
import subprocess
import sys
import unittest
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A wheel of pure Python can be imported as it lies there.
WHEEL = next((ROOT / "wheels").glob("phrasebook-*.whl"))


def start(**variables):
    """Starts the service with these variables."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{WHEEL}", **variables}
    command = [sys.executable, "-m", "greeter"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class ServerTest(unittest.TestCase):
    def setUp(self):
        # Port 0: the system chooses a free one, and the first line says which.
        self.process = start(PORT="0", GREETING="servus")
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        port = self.process.stdout.readline().split()[-1]
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return answer.read().decode()

    def test_it_greets_with_the_greeting_of_its_environment(self):
        self.assertEqual(self.get("/"), "Servus, world!\n")

    def test_health_tells_the_version(self):
        from greeter import VERSION

        self.assertEqual(json.loads(self.get("/health")), {"status": "ok", "version": VERSION})

    def test_an_unknown_path_is_not_found(self):
        with self.assertRaises(urllib.error.HTTPError) as raised:
            self.get("/nothing")
        raised.exception.close()
        self.assertEqual(raised.exception.code, 404)

    def test_term_ends_it_politely(self):
        self.process.send_signal(signal.SIGTERM)

        self.assertEqual(self.process.wait(timeout=10), 0)
        self.assertIn("greeter: stopped", self.process.stdout.read())


class SettingsTest(unittest.TestCase):
    def test_a_wrong_port_is_refused_with_a_clear_line(self):
        process = start(PORT="many")
        output, _ = process.communicate(timeout=10)

        self.assertEqual(process.returncode, 1)
        self.assertEqual(output, "greeter: PORT is 'many'; it must be a number up to 65535\n")


sys.path.insert(0, str(ROOT))

if __name__ == "__main__":
    unittest.main()

"""The bot as a server and its users see it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bot.wire import Wire

PASSWORD = os.urandom(8).hex()


def start(*command, cwd=ROOT, **variables):
    """Starts a program whose output can be read."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.Popen(
        [sys.executable, "-B", *command], cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


class BotTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        (self.directory / "VERSION").write_text("7\n")
        self.server = self.begin(start(ROOT / "server/chat.py", "0", CHAT_PASSWORDS=json.dumps({"rosey": PASSWORD})))
        self.port = int(self.server.stdout.readline().rsplit(" ", 1)[1])
        self.configure(f"127.0.0.1:{self.port}")

    def begin(self, process):
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def configure(self, server, **more):
        config = {"server": server, "channel": "lounge", "name": "rosey", "database": "data/bot.db", **more}
        (self.directory / "config.json").write_text(json.dumps(config))

    def bot(self, password=PASSWORD):
        return self.begin(start("-m", "bot", cwd=self.directory, BOT_PASSWORD=password))

    def ask(self, program):
        """What a probe of this name says, and how it ends."""
        environment = {**os.environ, "BOT_PASSWORD": PASSWORD}
        done = subprocess.run([ROOT / "bin" / program], cwd=self.directory, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def test_it_says_that_it_is_connected_and_both_probes_see_it(self):
        bot = self.bot()
        self.assertEqual(bot.stdout.readline(), "bot: connected to lounge as rosey, version 7\n")

        self.assertEqual(self.ask("healthy"), (0, "rosey 7 is in lounge\n"))
        self.assertEqual(self.ask("smoke"), (0, "this is version 7; hello smoke-test, for the 1. time\n"))
        self.assertEqual(self.ask("smoke"), (0, "this is version 7; hello smoke-test, for the 2. time\n"))
        bot.send_signal(signal.SIGTERM)
        self.assertEqual(bot.wait(timeout=30), 0)

    def test_without_it_both_probes_fail(self):
        self.assertEqual(self.ask("healthy"), (1, "rosey 7 is not in lounge; there are: {}\n"))
        self.assertEqual(self.ask("smoke"), (1, "no answer: rosey is not in lounge\n"))

    def test_the_bot_of_another_release_is_not_this_one(self):
        bot = self.bot()
        bot.stdout.readline()
        (self.directory / "VERSION").write_text("8\n")
        self.assertEqual(self.ask("healthy"), (1, "rosey 8 is not in lounge; there are: {'rosey': '7'}\n"))

    def test_what_others_say_is_not_answered_and_another_channel_hears_nothing(self):
        self.bot().stdout.readline()
        with Wire("127.0.0.1", self.port, timeout=10) as here, Wire("127.0.0.1", self.port, timeout=10) as elsewhere:
            here.join("lounge", "ada")
            elsewhere.join("kitchen", "bob")
            for text in ["good morning", "!help"]:
                here.send(do="say", text=text)
            heard = [here.receive()["text"] for _ in range(3)]
            elsewhere.send(do="say", text="!help")
            self.assertEqual(heard, ["good morning", "!help", "I know !version and !hello"])
            self.assertEqual(elsewhere.receive()["by"], "bob")

    def test_a_wrong_password_is_told_and_tried_again(self):
        bot = self.bot(password="wrong")
        for _ in range(2):
            self.assertEqual(bot.stdout.readline(), "bot: lost the server: the server says wrong password\n")

    def test_it_comes_back_when_the_server_does(self):
        bot = self.bot()
        bot.stdout.readline()
        self.server.kill()
        self.assertEqual(bot.stdout.readline(), "bot: lost the server: the server is gone\n")
        passwords = json.dumps({"rosey": PASSWORD})
        again = self.begin(start(ROOT / "server/chat.py", str(self.port), CHAT_PASSWORDS=passwords))
        again.stdout.readline()
        line = bot.stdout.readline()
        while line.startswith("bot: lost the server"):
            line = bot.stdout.readline()
        self.assertEqual(line, "bot: connected to lounge as rosey, version 7\n")

    def test_what_cannot_begin_says_why(self):
        for change, words in [
            ({"server": "nowhere"}, "server must be host:port"),
            ({"server": "127.0.0.1:1", "name": 7}, "name must be a text"),
            ({"server": "127.0.0.1:1", "nmae": "x"}, "its keys must be channel, database, name, server"),
        ]:
            with self.subTest(**change):
                self.configure(**change)
                output, _ = self.bot().communicate(timeout=30)
                self.assertEqual(output, f"bot: cannot begin: config.json: {words}\n")

    def test_without_a_password_it_does_not_begin(self):
        output, _ = self.bot(password="").communicate(timeout=30)
        self.assertEqual(output, "bot: cannot begin: BOT_PASSWORD is not set\n")


if __name__ == "__main__":
    unittest.main()

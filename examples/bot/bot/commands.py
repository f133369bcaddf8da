"""What the bot answers, and what it remembers."""

import sqlite3
from pathlib import Path


class Memory:
    """How often whom was greeted: a database of the channel's own, which outlives releases."""

    def __init__(self, path: Path):
        path.parent.mkdir(exist_ok=True)
        self.database = sqlite3.connect(path)
        self.database.execute("CREATE TABLE IF NOT EXISTS greeted (name TEXT PRIMARY KEY, count INTEGER NOT NULL)")

    def greet(self, name: str) -> int:
        """Counts one more greeting; gives how many there were."""
        with self.database:
            query = "INSERT INTO greeted VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET count = count + 1 RETURNING count"
            return self.database.execute(query, (name,)).fetchone()[0]


def answer(text: str, by: str, version: str, memory: Memory) -> str | None:
    """The answer to what somebody said; None to what is no command."""
    if text == "!version":
        return f"this is version {version}"
    if text == "!hello":
        count = memory.greet(by)
        return f"hello {by}, for the {count}. time"
    return "I know !version and !hello" if text == "!help" else None

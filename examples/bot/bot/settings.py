"""What the release's configuration and the environment decide; a wrong value ends the program with a clear line."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

KEYS = {"server", "channel", "name", "database"}


@dataclass(frozen=True)
class Settings:
    """Where one bot is, and who it is there."""

    host: str
    port: int
    channel: str
    name: str
    database: Path
    password: str
    version: str


def refuse(why: str):
    """Ends the program."""
    sys.exit(f"bot: cannot begin: {why}")


def read(config: Path = Path("config.json"), environment=os.environ) -> Settings:
    """Reads them, or ends the program. `config.json` is a link to the configuration of one channel."""
    values = parse(config)
    host, _, port = values["server"].rpartition(":")
    if not host or not port.isdecimal():
        refuse(f"{config}: server must be host:port")
    password = environment.get("BOT_PASSWORD", "")
    if not password:
        refuse("BOT_PASSWORD is not set")
    version = Path("VERSION").read_text().strip()
    return Settings(host, int(port), values["channel"], values["name"], Path(values["database"]), password, version)


def parse(config: Path) -> dict:
    """The values of a configuration; all of them are texts, and none is missing or unknown."""
    try:
        values = json.loads(config.read_text())
    except (OSError, ValueError) as error:
        refuse(f"{config} cannot be read: {error}")
    if not isinstance(values, dict) or set(values) != KEYS:
        refuse(f"{config}: its keys must be {', '.join(sorted(KEYS))}")
    for key, value in values.items():
        if not isinstance(value, str) or not value:
            refuse(f"{config}: {key} must be a text")
    return values


if __name__ == "__main__":
    # A check of the configurations: python3 -m bot.settings config-test.json config-prod.json
    for file in sys.argv[1:]:
        parse(Path(file))
        print(f"{file} is sound")

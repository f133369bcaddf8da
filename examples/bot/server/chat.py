"""A small chat server for the bot to attend: `CHAT_PASSWORDS='{"rosey": "…"}' python3 server/chat.py 6789`.

One JSON object a line. A client joins a channel, and hears what is said there. Names with a password are for whoever knows it;
a second client of such a name takes the place of the first, as a bot does that is restarted. Everybody else may come as often as
they like.
"""

import asyncio
import hmac
import json
import os
import signal
import sys

LINE_BYTES_MAX = 8192


class Chat:
    """Who is in which channel."""

    def __init__(self, passwords: dict):
        self.passwords = passwords
        self.channels: dict[str, dict[asyncio.StreamWriter, tuple[str, str]]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its first line to its last."""
        channel = None
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if message.get("do") == "join" and channel is None:
                    channel = self.join(message, writer)
                elif message.get("do") == "say" and channel is not None:
                    self.say(channel, writer, str(message.get("text")))
                else:
                    break
                await writer.drain()
        except (OSError, ValueError, AttributeError):
            pass
        finally:
            if channel is not None:
                self.channels[channel].pop(writer, None)
            writer.close()

    def join(self, message: dict, writer: asyncio.StreamWriter) -> str:
        """Lets a client into a channel, or sends it away."""
        name, channel = str(message.get("name")), str(message.get("channel"))
        password = self.passwords.get(name)
        if password is not None and not hmac.compare_digest(password, str(message.get("password"))):
            tell(writer, error="wrong password")
            raise ValueError("wrong password")
        there = self.channels.setdefault(channel, {})
        if password is not None:
            for other in [other for other, (who, _) in there.items() if who == name]:
                del there[other]
                other.close()
        tell(writer, event="joined", there={who: version for who, version in there.values()})
        there[writer] = (name, str(message.get("version", "")))
        return channel

    def say(self, channel: str, writer: asyncio.StreamWriter, text: str) -> None:
        """Passes on what a client says, to itself, too."""
        by, _ = self.channels[channel].get(writer, ("", ""))
        for listener in self.channels[channel]:
            tell(listener, event="said", by=by, text=text)


def tell(writer: asyncio.StreamWriter, **message) -> None:
    writer.write(json.dumps(message).encode() + b"\n")


async def main() -> None:
    chat = Chat(json.loads(os.environ.get("CHAT_PASSWORDS", "{}")))
    server = await asyncio.start_server(chat.serve, "127.0.0.1", int(sys.argv[1]), limit=LINE_BYTES_MAX)
    print(f"chat: listening on {server.sockets[0].getsockname()[1]}", flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


asyncio.run(main())

"""Builds the wheel of phrasebook without any tool: the same source gives the same bytes everywhere.

Usage: python3 build_wheel.py [DIRECTORY], which is ../wheels when not given.
"""

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

NAME, VERSION = "phrasebook", "1.0"
HERE = Path(__file__).resolve().parent
# The earliest time that a zip file can hold.
TIME = (1980, 1, 1, 0, 0, 0)


def contents():
    """Every file of the wheel but RECORD, by name."""
    source = HERE / "src"
    files = {str(path.relative_to(source)): path.read_bytes() for path in source.rglob("*.py")}
    info = f"{NAME}-{VERSION}.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: build_wheel.py\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    return dict(sorted(files.items()))


def record(files):
    """The wheel's RECORD: digest and size of each file."""
    def line(name, content):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        return f"{name},sha256={digest},{len(content)}\n"

    own = f"{NAME}-{VERSION}.dist-info/RECORD"
    return own, ("".join(line(*item) for item in files.items()) + f"{own},,\n").encode()


def build(directory):
    """Writes the wheel and returns its path."""
    files = contents()
    own, text = record(files)
    path = Path(directory) / f"{NAME}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in [*files.items(), (own, text)]:
            member = zipfile.ZipInfo(name, TIME)
            member.create_system = 3
            member.external_attr = 0o100644 << 16
            wheel.writestr(member, content)
    return path


if __name__ == "__main__":
    print(build(sys.argv[1] if len(sys.argv) > 1 else HERE.parent / "wheels"))

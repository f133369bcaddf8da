"""The shipped wheel is what its source says."""

import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "phrasebook"))

import build_wheel  # noqa: E402


class WheelTest(unittest.TestCase):
    def test_the_shipped_wheel_is_built_from_the_shipped_source(self):
        with tempfile.TemporaryDirectory() as directory:
            fresh = build_wheel.build(directory)
            shipped = ROOT / "wheels" / fresh.name
            self.assertEqual(fresh.read_bytes(), shipped.read_bytes(), "run phrasebook/build_wheel.py")


if __name__ == "__main__":
    unittest.main()

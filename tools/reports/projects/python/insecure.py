"""What linters and scanners find."""

import os
import pickle
import subprocess


def run(command, blob):
    password = "hunter2"
    subprocess.call(command, shell=True)
    subprocess.call(command, shell=True)  # nosec
    return pickle.loads(blob)

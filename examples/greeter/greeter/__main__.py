"""Runs the service: `PORT=8000 GREETING=Hello python -m greeter`."""

from greeter.server import main

main()

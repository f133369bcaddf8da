"""A small web service that greets."""

VERSION = "1"

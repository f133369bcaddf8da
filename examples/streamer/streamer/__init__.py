"""Sends a playlist to a channel, again and again."""

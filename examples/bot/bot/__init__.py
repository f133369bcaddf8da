"""A chat bot that stays connected to one channel of a server and answers commands."""

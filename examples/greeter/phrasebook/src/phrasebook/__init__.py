"""Makes sentences."""


def sentence(greeting, name):
    """`sentence("hello", "world")` is `Hello, world!`."""
    return f"{greeting[:1].upper()}{greeting[1:]}, {name}!"

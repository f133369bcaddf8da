"""Takes signed notifications and keeps them."""

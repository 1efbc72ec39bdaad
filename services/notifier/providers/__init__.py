"""Adapters of SMS providers. `base` defines what every adapter does."""

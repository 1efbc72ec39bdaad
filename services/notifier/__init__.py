"""Tells realtors by SMS what became of their clients: each business event once, whatever the provider does."""

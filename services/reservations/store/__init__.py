"""Clients' states in PostgreSQL."""

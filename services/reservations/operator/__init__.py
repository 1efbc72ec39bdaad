"""Operators' commands: histories and their proof, and reports on partners."""

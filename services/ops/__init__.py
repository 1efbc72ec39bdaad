"""Operators' commands for the dead letters. For the internal network only."""

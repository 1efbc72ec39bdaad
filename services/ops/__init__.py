"""Operators' commands and, later, pages: on the internal network only."""

"""Operators' commands and, later, pages. For the internal network only."""

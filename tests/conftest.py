"""Fixtures for all tests: real servers (embedded by default), and whole systems."""

pytest_plugins = ["tests.infra", "tests.systems"]

"""Fixtures for all tests: real servers, embedded by default."""

pytest_plugins = ["tests.infra"]

"""Tests of `deploy/`: the local system with stand-in programs, and the real Kafka and PostgreSQL under it."""

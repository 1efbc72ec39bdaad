"""Tests of `deploy/`: the local system with stand-ins for the services, and real Kafka and PostgreSQL."""

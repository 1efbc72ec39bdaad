"""The 1C gateway: its rules, its adapter against the simulator, and the service on real Kafka and PostgreSQL."""

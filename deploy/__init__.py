"""Brings Truce up: the whole system on one machine (`deploy.local`), and the topics of any Kafka (`deploy.topics`)."""

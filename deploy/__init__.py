"""What brings the system up: locally (`deploy.local`), and the topics of any Kafka (`deploy.topics`)."""

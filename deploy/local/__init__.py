"""The whole system on one machine, from Python wheels and Kafka's jars: no Docker, no Java, no PostgreSQL, no root.

`make run` is `python -m deploy.local run`. Tests start the same system with `deploy.local.system.LocalSystem`, or a
single server with `deploy.local.kafka.Kafka` or `deploy.local.postgres.Postgres`, in a folder and on ports of its own.
"""

"""The microservice chassis: at-least-once Kafka made effectively-once by PostgreSQL.

Read in this order: `decision` (what a rule returns), `processor` (one transaction a batch), `publisher` (events
leave in the order of commit), `consumer` (records in), `worker` (calls to foreign systems), `presence` (who owns
what, and until when), `service` (how it all runs). Nothing here knows a business noun, a topic or a service.
"""

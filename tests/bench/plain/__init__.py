"""The pipeline as in FastStream's tutorial: one session and one commit for each message.

It does the same work with the same rows and messages as the services, as an engineer new to FastStream would write it.
There is no outbox and no row lock, and `AckPolicy.ACK` also acknowledges a message whose handler raised an error.
"""

"""The fastest straightforward program for the whole pipeline, to compare the services' throughput with.

It does the same work with the same rows and messages. It does not survive a crash: there is no outbox (a kill between
commit and publishing loses the events), no row lock, no claim and no retry. Foreign systems are stubs.
"""

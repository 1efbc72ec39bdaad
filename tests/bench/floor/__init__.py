"""The pipeline by hand, as fast as is straightforward: what our services' throughput is compared with.

Same work, same rows, same messages. Left out is what makes a service survive a crash: there is no outbox (a kill
between commit and publishing loses the events), no row lock, no claim, no retry, and a stub for every foreign system.
"""

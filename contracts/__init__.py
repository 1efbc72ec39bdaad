"""Every message on the topics, and the rules that producers and consumers share: phones, names, keys, sealing.

Services share no other code of their own. This package does no I/O and imports no service.
"""

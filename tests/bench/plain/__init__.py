"""The pipeline the plain way: FastStream as its tutorial shows it, a message, a session and a commit at a time.

Same work, same rows, same messages as our services; what a competent newcomer would write first. There is no outbox
and no row lock, and `AckPolicy.ACK` also acknowledges what a handler raised on.
"""

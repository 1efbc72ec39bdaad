"""Every message that crosses a topic, and the few rules all sides must share to read them.

Services meet only here. Nothing in this package does I/O or knows a service.
"""

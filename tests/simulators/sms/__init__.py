"""A strict stand-in for SMSC.ru, the SMS provider, over HTTP."""

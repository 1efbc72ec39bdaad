"""A simulator of SMSC.ru, the SMS provider, over HTTP."""

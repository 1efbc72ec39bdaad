"""Stand-ins for the foreign systems Truce talks to, each a separate strict process: 1C and SMSC.ru.

They exist so that the adapters are tested over real HTTP. The application never imports from here.
"""

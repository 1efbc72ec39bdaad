"""Simulators of the foreign systems that Truce calls, 1C and SMSC.ru, each a separate process.

With them the adapters are tested over real HTTP. The application never imports from here.
"""

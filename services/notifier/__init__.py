"""Sends SMS to realtors about their clients: one SMS a business event, whatever the provider does."""

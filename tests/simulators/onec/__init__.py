"""A simulator of a 1C:CRM infobase that is published over HTTP (OData v3, the standard interface of 1C)."""

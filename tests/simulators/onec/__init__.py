"""A strict stand-in for a 1C:CRM infobase published over HTTP (OData v3, the standard interface of 1C)."""

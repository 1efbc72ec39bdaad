"""The adapter to 1C: its standard OData interface over HTTP."""

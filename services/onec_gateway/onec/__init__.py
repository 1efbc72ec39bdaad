"""1C over its standard OData interface: what is said to it, and what its answers mean."""

"""The service's tables, and the state that is loaded from them and saved to them."""

"""The database of intake: tables, states of rules, and queries."""

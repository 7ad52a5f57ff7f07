"""The tables: one folder each."""

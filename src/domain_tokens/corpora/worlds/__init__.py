"""Invented people and short passages about them, whose facts no model can know before it has read the passage."""

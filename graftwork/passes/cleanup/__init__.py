"""Passes that make a graph smaller and leave its meaning alone."""

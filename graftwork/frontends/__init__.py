"""Frontends: from the programs of a framework to graphs."""

"""Encoders by name: local packages, any model of a hub or folder, and servers."""

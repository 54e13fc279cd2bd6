"""Temporal split, ranking metrics, intervals and the report."""

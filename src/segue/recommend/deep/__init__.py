"""Nets. Nothing outside this package imports torch; each file is one strategy or rater."""

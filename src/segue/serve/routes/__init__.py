"""Routes of the application, one module for machines and one for people."""

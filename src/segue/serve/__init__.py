"""The API and the page: one FastAPI application over injected parts."""

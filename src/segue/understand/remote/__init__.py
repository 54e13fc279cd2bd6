"""Models by address: summaries, tags, wording and embeddings from an OpenAI-compatible server."""

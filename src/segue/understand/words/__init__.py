"""What an item's words say: language, summary, sentiment, keywords, topics, genres."""

"""Media files become items: scanned, examined in a sandboxed child, stored by content hash."""

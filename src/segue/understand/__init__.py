"""What items are about: text, pictures and sound as vectors and labels, without torch."""

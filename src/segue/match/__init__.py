"""What joins people and content: tastes, audiences, identities, the social graph."""

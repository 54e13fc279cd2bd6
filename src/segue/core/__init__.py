"""Values, shapes of parts and errors that every stage shares. Depends on numpy alone."""

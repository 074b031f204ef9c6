"""SDK clients: one for each distinct settings, guarded, with what servers log of their errors."""

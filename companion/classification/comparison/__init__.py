"""Several models on the same texts, and which differences are real (chapters 2 and 13)."""

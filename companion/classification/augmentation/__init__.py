"""More training texts out of few (chapter 13)."""

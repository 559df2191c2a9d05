"""Texts longer than a model reads: truncation, windows, a hierarchical head (chapter 14)."""

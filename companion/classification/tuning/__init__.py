"""Search of settings, cross-validation and ensembles (chapter 13)."""

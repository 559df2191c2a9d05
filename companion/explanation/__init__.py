"""Seeing what a model looked at (chapters 3, 4 and 6)."""

from companion.explanation.attention_views import head_view, model_view, neuron_view

__all__ = ["head_view", "model_view", "neuron_view"]

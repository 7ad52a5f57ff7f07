"""Recurrences, each behind one function: the library's layer, or an autograd function written by hand."""

from .gru import gru
from .lstm import lstm
from .recurrence import StateGradients
from .rnn import ACTIVATIONS, rnn

__all__ = ["ACTIVATIONS", "StateGradients", "gru", "lstm", "rnn"]

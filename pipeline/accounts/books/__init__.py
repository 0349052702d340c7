"""The books: open lots and closed trades, computed from fills, first in, first out."""

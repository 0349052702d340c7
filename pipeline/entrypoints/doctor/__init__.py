"""Look at every part that tradewire stands on, and say what is wrong, why it likely is, and what mends it."""

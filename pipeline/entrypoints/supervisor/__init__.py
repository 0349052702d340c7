"""`tradewire up`: everything on one machine, supervised."""

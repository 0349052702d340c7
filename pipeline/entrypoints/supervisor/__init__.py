"""`tradewire up`: run and supervise all processes on one machine."""

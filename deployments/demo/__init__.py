"""`make demo`: the whole story on one machine, told to a shop owner, with the real flows."""

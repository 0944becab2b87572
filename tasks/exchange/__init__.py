"""Batches, heads and acknowledgements in a shared folder. Never imports RMS or the hub."""

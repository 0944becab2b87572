"""A shop on a laptop: sample RMS databases from real tickets, rung as RMS rings them. Never a real RMS."""

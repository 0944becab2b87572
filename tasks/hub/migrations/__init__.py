"""Migrations of the hub, forward only."""

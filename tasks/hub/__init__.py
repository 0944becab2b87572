"""The hub's database: orders, stock ledger, quarantine and reconcile. Never reads a store's database."""

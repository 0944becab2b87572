"""The master hub's database: orders, ledger, quarantine, reconciliation. Never imports RMS or the exchange."""

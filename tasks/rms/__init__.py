"""The store's own database (Dynamics RMS, Store Operations). Never imports the exchange or the hub."""

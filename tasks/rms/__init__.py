"""The store's own database (Microsoft Dynamics RMS, Store Operations). Never imports the exchange or the hub."""

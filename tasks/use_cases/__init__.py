"""What the bridge does, joined from RMS, exchange and hub; each runs without Prefect."""

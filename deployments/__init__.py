"""WHERE it runs: the command line, the sample stores, the demo, prefect.yaml."""

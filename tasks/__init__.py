"""HOW data is read, written and remembered. Only `tasks.steps` knows Prefect."""

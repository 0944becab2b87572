"""WHAT the data must be: documents, identity, money, contracts and errors. No I/O, no Prefect."""

"""WHAT the data must be: documents, identity, money, life cycles, contracts and errors. No I/O, no Prefect."""

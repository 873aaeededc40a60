"""A connector to begin with: copy this folder to connectors/NAME, and test_contract.py beside the other suites."""

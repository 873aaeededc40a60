"""Outages are for `make chaos`: they need a stack of their own and more time than `make test` has."""

import os

collect_ignore = [] if os.environ.get("HEADWATER_CHAOS_FAULTS") else ["test_outages.py"]

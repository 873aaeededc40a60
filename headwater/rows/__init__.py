"""Rows of the stores: how a batch becomes rows, and what a query's filter means for them, in whichever store."""

from headwater.rows.builder import rows
from headwater.rows.conditions import Condition, FilterError, filter_condition, scope_condition
from headwater.rows.record import decode_row, encode_row

__all__ = [
    "Condition",
    "FilterError",
    "decode_row",
    "encode_row",
    "filter_condition",
    "rows",
    "scope_condition",
]

"""Stage `analytics`: queries and ingestions become figures per tenant."""

"""Who may read what: clauses, store filters, the gate, tokens for read-your-writes."""

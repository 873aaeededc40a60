"""One module a component: `process` describes it, `prepare` writes its configuration before it starts."""

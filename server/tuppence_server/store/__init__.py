"""Where rows are kept: one contract, `base.Store`, and the stores that fulfil it."""

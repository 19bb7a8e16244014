"""Pages over runs: a report each, and an index of claims over all of them."""

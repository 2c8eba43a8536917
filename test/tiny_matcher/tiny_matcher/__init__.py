"""Another package with a front end, matcher, sieve and solver of its own, as tests install it."""

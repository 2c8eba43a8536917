"""Another package with a front end, a sieve and a solver of its own, as the tests install it."""

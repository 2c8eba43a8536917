"""Another package with a front end and a sieve of its own, as the tests install it."""

"""A package, as in the repository of TurboGears."""

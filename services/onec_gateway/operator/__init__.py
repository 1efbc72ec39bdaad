"""Commands for the 1C administrator and for the builder's staff, in Russian."""

"""Systems that an earlier commit left behind, and what the code at hand makes of them."""

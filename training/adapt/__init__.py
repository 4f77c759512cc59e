"""The shipped model fitted to somebody's own labelled pairs, as a bundle of its own."""

"""The teachers: of sentences, and of pairs."""

"""Texts to token ids: limits, distinct sentences of pairs, the tokenizer."""

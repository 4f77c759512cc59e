"""Native WordPiece: the ids of bert-base-uncased's tokenizer, for the texts whose ids it can prove.

``recipe.py`` reads from a Hugging Face tokenizer what the C++ needs, or says why it cannot serve that one.
``native.py`` calls the C++. ``characters.py`` writes ``characters_table.h``: what becomes of each character.
"""

"""``cmow-dedupe`` and ``cmow.dedupe``: near-duplicate texts, each verified against the one that is kept for it.

texts  ->  distinct ones, by hash  ->  nearest kept texts, by cosine  ->  verified by the paraphrase head
"""

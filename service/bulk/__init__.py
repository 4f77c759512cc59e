"""``cmow-score``: files of sentence pairs, scored in constant memory.

    reader  ->  blocks  ->  scorer  ->  scored blocks  ->  encoder  ->  sink

A block is some thousands of rows. Readers, encoders and sinks know nothing of the model; a scorer is any function from
blocks to scored blocks in the same order, and the one in ``scoring`` runs the engine in this process.
"""

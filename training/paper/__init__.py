"""The paper's own method: masked-LM distillation, then each GLUE task alone."""

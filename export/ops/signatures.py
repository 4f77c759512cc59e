"""The ops by name, inputs and output, as models, schemas and translations need them."""

from __future__ import annotations

from dataclasses import dataclass

from onnx.defs import OpSchema

from export.ops.hybrid_body import DOMAIN, OP_TYPE

VERSION = 1

FLOAT, INT8, INT64 = "tensor(float)", "tensor(int8)", "tensor(int64)"


@dataclass(frozen=True)
class Signature:
    """An op of the domain ``ai.cmow``: inputs, each with an ONNX type or a type variable, and a float32 output."""

    op_type: str
    inputs: dict[str, str]
    output: str
    optional: tuple[str, ...] = ()
    type_constraints: tuple[tuple[str, list[str], str], ...] = ()

    def schema(self) -> OpSchema:
        """What ONNX checks and infers by; the references in this package hold the semantics."""
        options = OpSchema.FormalParameterOption
        parameters = [
            OpSchema.FormalParameter(
                name, kind, param_option=options.Optional if name in self.optional else options.Single
            )
            for name, kind in self.inputs.items()
        ]
        return OpSchema(
            self.op_type,
            DOMAIN,
            VERSION,
            inputs=parameters,
            outputs=[OpSchema.FormalParameter(self.output, FLOAT)],
            type_constraints=list(self.type_constraints),
        )


HYBRID_ENCODE = Signature(
    OP_TYPE,
    {
        "token_ids": INT64,
        "cu_seqlens": INT64,
        "vectors": "T",
        "forward_deltas": "T",
        "backward_deltas": "T",
        "scales": FLOAT,
    },
    "embedding",
    optional=("scales",),
    type_constraints=(("T", [FLOAT, "tensor(float16)", INT8], "one type for all tables"),),
)

ENCODE_PAIRS = Signature(
    "EncodePairs",
    {
        "token_ids": INT64,
        "cu_seqlens": INT64,
        "pairs": INT64,
        "rows": INT8,
        "scales": FLOAT,
        "places": FLOAT,
        "mix": INT8,
        "mix_scales": FLOAT,
        "mix_bias": FLOAT,
        "key": INT8,
        "key_scales": FLOAT,
        "key_bias": FLOAT,
        "fuse": INT8,
        "fuse_scales": FLOAT,
        "fuse_bias": FLOAT,
    },
    "pooled",
)

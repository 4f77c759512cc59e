"""The op as a model-local ONNX function, which stock ONNX Runtime runs where the kernel library is not registered."""

from __future__ import annotations

from typing import Literal

import onnx
import onnx.parser

TableDtype = Literal["float32", "float16", "int8"]

DOMAIN = "ai.cmow"
OP_TYPE = "HybridEncode"

# One loop over the sentences, and in it one over the tokens that walks both directions at once. `Loop` is used because it may
# run zero times (B = 0, empty sentences), and because rows are gathered one token at a time: memory does not grow with length.
# Products are kept at norm 1 on the way and get the identity's norm, sqrt(d), at the end.
BODY = """
<opset_import: ["" : 18], domain: "ai.cmow">
HybridEncode (token_ids, cu_seqlens, vectors, forward_deltas, backward_deltas{scales}) => (embedding)
{{
  true = Constant <value = bool {{1}}> ()
  zero = Constant <value = int64 {{0}}> ()
  one = Constant <value = int64 {{1}}> ()
  flat = Constant <value = int64[1] {{-1}}> ()
  tiny = Constant <value = float {{1.1754943508222875e-38}}> ()
  side = Shape <start = 1, end = 2> (forward_deltas)
  matrix_shape = Concat <axis = 0> (side, side)
  zeros = ConstantOfShape (matrix_shape)
  identity = EyeLike <dtype = 1> (zeros)
  side_float = Cast <to = 1> (side)
  identity_norm = Sqrt (side_float)
  start_product = Div (identity, identity_norm)
  vector_shape = Shape <start = 1, end = 2> (vectors)
  no_vector = ConstantOfShape (vector_shape)
  boundaries = Shape <start = 0, end = 1> (cu_seqlens)
  boundary_count = Squeeze (boundaries)
  sentences = Sub (boundary_count, one)

  rows = Loop (sentences, true) <body = each_sentence (
      int64 sentence, bool go_on) => (bool go_on_out, float[columns] row)
  {{
    go_on_out = Identity (go_on)
    start = Gather (cu_seqlens, sentence)
    following = Add (sentence, one)
    end = Gather (cu_seqlens, following)
    last = Sub (end, one)
    length = Sub (end, start)
    sum, forward, backward = Loop (length, true, no_vector, start_product, start_product) <body = each_token (
        int64 token, bool going, float[e] sum_in, float[d, d] forward_in, float[d, d] backward_in)
        => (bool going_out, float[e] sum_out, float[d, d] forward_out, float[d, d] backward_out)
    {{
      going_out = Identity (going)
      forward_at = Add (start, token)
      backward_at = Sub (last, token)
      forward_id = Gather (token_ids, forward_at)
      backward_id = Gather (token_ids, backward_at)
      {read_tables}
      sum_out = Add (sum_in, vector)
      forward_change = MatMul (forward_in, forward_delta)
      forward_product = Add (forward_in, forward_change)
      forward_norm = ReduceL2 <keepdims = 0> (forward_product)
      forward_safe = Max (forward_norm, tiny)
      forward_out = Div (forward_product, forward_safe)
      backward_change = MatMul (backward_in, backward_delta)
      backward_product = Add (backward_in, backward_change)
      backward_norm = ReduceL2 <keepdims = 0> (backward_product)
      backward_safe = Max (backward_norm, tiny)
      backward_out = Div (backward_product, backward_safe)
    }}>
    at_least_one = Max (length, one)
    divisor = Cast <to = 1> (at_least_one)
    mean = Div (sum, divisor)
    forward_unit = Mul (forward, identity_norm)
    backward_unit = Mul (backward, identity_norm)
    forward_row = Reshape (forward_unit, flat)
    backward_row = Reshape (backward_unit, flat)
    row = Concat <axis = 0> (mean, forward_row, backward_row)
  }}>

  matrix_elements = Mul (side, side)
  vector_and_forward = Add (vector_shape, matrix_elements)
  columns_count = Add (vector_and_forward, matrix_elements)
  sentences_1d = Reshape (sentences, flat)
  embedding_shape = Concat <axis = 0> (sentences_1d, columns_count)
  embedding = Reshape <allowzero = 1> (rows, embedding_shape)
}}
"""

READ_FLOAT32 = "{value} = Gather ({table}, {id})"
READ_FLOAT16 = """
      {value}_stored = Gather ({table}, {id})
      {value} = Cast <to = 1> ({value}_stored)"""
READ_INT8 = """
      {value}_stored = Gather ({table}, {id})
      {value}_float = Cast <to = 1> ({value}_stored)
      {value} = Mul ({value}_float, {value}_scale)"""
# A row of scales serves two of the three reads where the token is the same.
READ_SCALES = """
      two = Constant <value = int64 {2}> ()
      forward_scales = Gather (scales, forward_id)
      backward_scales = Gather (scales, backward_id)
      vector_scale = Gather (forward_scales, zero)
      forward_delta_scale = Gather (forward_scales, one)
      backward_delta_scale = Gather (backward_scales, two)"""

READS = {"float32": READ_FLOAT32, "float16": READ_FLOAT16, "int8": READ_INT8}


def read_tables(dtype: TableDtype) -> str:
    """Text of the nodes that read one token's rows as float32."""
    rows = [
        ("vector", "vectors", "forward_id"),
        ("forward_delta", "forward_deltas", "forward_id"),
        ("backward_delta", "backward_deltas", "backward_id"),
    ]
    reads = [READS[dtype].format(value=value, table=table, id=token) for value, table, token in rows]
    return "\n      ".join([READ_SCALES, *reads] if dtype == "int8" else reads)


def hybrid_encode_function(dtype: TableDtype) -> onnx.FunctionProto:
    """``ai.cmow::HybridEncode`` for tables of ``dtype``; inputs and output as in `export.ops.reference.hybrid_encode`.

    The function has the op's name and domain: ONNX Runtime prefers a registered kernel, and inlines this function otherwise.
    ``scales`` is an input only for int8 tables.
    """
    scales = ", scales" if dtype == "int8" else ""
    return onnx.parser.parse_function(BODY.format(scales=scales, read_tables=read_tables(dtype)))

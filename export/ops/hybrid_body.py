"""The op as a model-local ONNX function, which stock ONNX Runtime runs where the kernel library is not registered."""

from __future__ import annotations

import onnx
import onnx.parser

from cmow.service.model.bundle import TableDtype

DOMAIN = "ai.cmow"
OP_TYPE = "HybridEncode"

# Loops over the sentences, over each sentence's chunks of 256 tokens, and over the levels of each chunk's product,
# which halve the number of matrices: products of pairs, of pairs of pairs, and so on, in both directions at once.
# So few nodes run, memory does not grow with the sentence, and its result depends on nothing beside it. `Loop` may
# run zero times, for B = 0 and for empty sentences. The backward product is made of transposed matrices, in the
# forward order.
BODY = """
<opset_import: ["" : 18], domain: "ai.cmow">
HybridEncode (token_ids, cu_seqlens, vectors, forward_deltas, backward_deltas{scales}) => (embedding)
{{
  true = Constant <value = bool {{1}}> ()
  zero = Constant <value = int64 {{0}}> ()
  one = Constant <value = int64 {{1}}> ()
  two = Constant <value = int64 {{2}}> ()
  chunk = Constant <value = int64 {{256}}> ()
  chunk_less_one = Constant <value = int64 {{255}}> ()
  at_0 = Constant <value = int64[1] {{0}}> ()
  at_1 = Constant <value = int64[1] {{1}}> ()
  at_2 = Constant <value = int64[1] {{2}}> ()
  flat = Constant <value = int64[1] {{-1}}> ()
  far = Constant <value = int64[1] {{9223372036854775807}}> ()
  last_two = Constant <value = int64[2] {{-2, -1}}> ()
  tiny = Constant <value = float {{1.1754943508222875e-38}}> ()
  side = Shape <start = 1, end = 2> (forward_deltas)
  matrix_shape = Concat <axis = 0> (side, side)
  zeros = ConstantOfShape (matrix_shape)
  identity = EyeLike <dtype = 1> (zeros)
  two_shape = Concat <axis = 0> (at_2, at_1, matrix_shape)
  identities = Expand (identity, two_shape)
  side_float = Cast <to = 1> (side)
  identity_norm = Sqrt (side_float)
  start_products = Div (identities, identity_norm)
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
    length = Sub (end, start)
    rounded_up = Add (length, chunk_less_one)
    chunks = Div (rounded_up, chunk)
    end_1d = Reshape (end, flat)
    sum, products = Loop (chunks, true, no_vector, start_products) <body = each_chunk (
        int64 index, bool going, float[e] sum_in, float[2, 1, d, d] products_in)
        => (bool going_out, float[e] sum_out, float[2, 1, d, d] products_out)
    {{
      going_out = Identity (going)
      offset = Mul (index, chunk)
      chunk_start = Add (start, offset)
      chunk_end = Add (chunk_start, chunk)
      chunk_start_1d = Reshape (chunk_start, flat)
      chunk_end_1d = Min (chunk_end, end_1d)
      ids = Slice (token_ids, chunk_start_1d, chunk_end_1d)
      {read_tables}
      chunk_sum = ReduceSum <keepdims = 0> (vector, at_0)
      sum_out = Add (sum_in, chunk_sum)
      backward_transposed = Transpose <perm = [0, 2, 1]> (backward_delta)
      forward_first = Unsqueeze (forward_delta, at_0)
      backward_first = Unsqueeze (backward_transposed, at_0)
      deltas = Concat <axis = 0> (forward_first, backward_first)
      matrices = Add (deltas, identity)
      matrix_count = Shape <start = 1, end = 2> (matrices)
      matrix_count_scalar = Squeeze (matrix_count)
      several = Greater (matrix_count_scalar, one)
      product = Loop (, several, matrices) <body = each_level (
          int64 level, bool more, float[2, n, d, d] factors) => (bool more_out, float[2, m, d, d] factors_out)
      {{
        lefts = Slice (factors, at_0, far, at_1, at_2)
        rights = Slice (factors, at_1, far, at_1, at_2)
        count = Shape <start = 1, end = 2> (factors)
        odd = Mod (count, at_2)
        padding = Slice (identities, at_0, odd, at_1)
        rights_padded = Concat <axis = 1> (rights, padding)
        pairs = MatMul (lefts, rights_padded)
        pair_norms = ReduceL2 (pairs, last_two)
        pair_divisors = Max (pair_norms, tiny)
        factors_out = Div (pairs, pair_divisors)
        count_scalar = Squeeze (count)
        more_out = Greater (count_scalar, two)
      }}>
      longer = MatMul (products_in, product)
      norms = ReduceL2 (longer, last_two)
      divisors = Max (norms, tiny)
      products_out = Div (longer, divisors)
    }}>
    at_least_one = Max (length, one)
    divisor = Cast <to = 1> (at_least_one)
    mean = Div (sum, divisor)
    units = Mul (products, identity_norm)
    forward_unit = Gather (units, zero)
    backward_transposed_unit = Gather (units, one)
    backward_unit = Transpose <perm = [0, 2, 1]> (backward_transposed_unit)
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

READ_FLOAT32 = "{value} = Gather ({table}, ids)"
READ_FLOAT16 = """
      {value}_stored = Gather ({table}, ids)
      {value} = Cast <to = 1> ({value}_stored)"""
READ_INT8 = """
      {value}_stored = Gather ({table}, ids)
      {value}_float = Cast <to = 1> ({value}_stored)
      {value}_scale = Slice (id_scales, at_{column}, at_{next_column}, at_1)
      {value}_scale_shaped = Reshape ({value}_scale, {scale_shape})
      {value} = Mul ({value}_float, {value}_scale_shaped)"""
READ_SCALES = """
      at_3 = Constant <value = int64[1] {3}> ()
      of_vectors = Constant <value = int64[2] {-1, 1}> ()
      of_matrices = Constant <value = int64[3] {-1, 1, 1}> ()
      id_scales = Gather (scales, ids)"""

READS = {"float32": READ_FLOAT32, "float16": READ_FLOAT16, "int8": READ_INT8}
TABLES = {"vector": "vectors", "forward_delta": "forward_deltas", "backward_delta": "backward_deltas"}


def read_tables(dtype: TableDtype) -> str:
    """Text of the nodes that read a chunk's rows as float32."""
    reads = [
        READS[dtype].format(
            value=value,
            table=table,
            column=column,
            next_column=column + 1,
            scale_shape="of_vectors" if value == "vector" else "of_matrices",
        )
        for column, (value, table) in enumerate(TABLES.items())
    ]
    return "\n      ".join([READ_SCALES, *reads] if dtype == "int8" else reads)


def hybrid_encode_function(dtype: TableDtype) -> onnx.FunctionProto:
    """``ai.cmow::HybridEncode`` for tables of ``dtype``; inputs and output as in `export.ops.hybrid_reference`.

    The function has the op's name and domain: ONNX Runtime prefers a registered kernel, and inlines this function
    otherwise. ``scales`` is an input only for int8 tables.
    """
    scales = ", scales" if dtype == "int8" else ""
    return onnx.parser.parse_function(BODY.format(scales=scales, read_tables=read_tables(dtype)))

"""``AlignPairs`` as a model-local ONNX function, which stock ONNX Runtime runs where the kernel library is missing."""

from __future__ import annotations

import onnx
import onnx.parser

# Loops over the pairs, so that memory holds the logits [n, m] of one pair at a time. Each sentence of a pair is
# followed by one more token to attend to, of value zero and the lowest logit: beside any real token its weight is
# exactly zero, and alone, after an empty sentence, it is the zero vector that the other side attends to. Likewise a row
# of zeros follows the comparisons, which are not negative: it changes neither sum nor maximum, and is the maximum of
# none.
BODY = """
<opset_import: ["" : 18], domain: "ai.cmow">
AlignPairs (keys, values, cu_seqlens, pairs, weight, bias) => (pooled)
{{
  true = Constant <value = bool {{1}}> ()
  zero = Constant <value = int64 {{0}}> ()
  one = Constant <value = int64 {{1}}> ()
  at_0 = Constant <value = int64[1] {{0}}> ()
  at_1 = Constant <value = int64[1] {{1}}> ()
  flat = Constant <value = int64[1] {{-1}}> ()
  row_after = Constant <value = int64[4] {{0, 0, 1, 0}}> ()
  row_and_column_after = Constant <value = int64[4] {{0, 0, 1, 1}}> ()
  zero_float = Constant <value = float {{0}}> ()
  lowest = Constant <value = float {{-3.4028234663852886e38}}> ()
  count_1d = Shape <start = 0, end = 1> (pairs)
  count = Squeeze (count_1d)

  rows = Loop (count, true) <body = each_pair (int64 index, bool go_on) => (bool go_on_out, float[2, columns] row)
  {{
    go_on_out = Identity (go_on)
    pair = Gather (pairs, index)
    {read_sentences}
    right_transposed = Transpose <perm = [1, 0]> (right_keys)
    logits = MatMul (left_keys, right_transposed)
    left_logits = Pad (logits, row_and_column_after, lowest)
    right_logits = Transpose <perm = [1, 0]> (left_logits)
    {compare_sentences}
    row = Concat <axis = 0> (left_row, right_row)
  }}>

  size = Shape <start = 0, end = 1> (bias)
  columns_count = Add (size, size)
  two = Constant <value = int64[1] {{2}}> ()
  pooled_shape = Concat <axis = 0> (count_1d, two, columns_count)
  pooled = Reshape <allowzero = 1> (rows, pooled_shape)
}}
"""

READ_SENTENCE = """
    {side}_sentence = Gather (pair, {position})
    {side}_next = Add ({side}_sentence, one)
    {side}_start_scalar = Gather (cu_seqlens, {side}_sentence)
    {side}_end_scalar = Gather (cu_seqlens, {side}_next)
    {side}_start = Reshape ({side}_start_scalar, flat)
    {side}_end = Reshape ({side}_end_scalar, flat)
    {side}_keys = Slice (keys, {side}_start, {side}_end, at_0)
    {side}_values = Slice (values, {side}_start, {side}_end, at_0)
    {side}_values_after = Pad ({side}_values, row_after, zero_float)"""

COMPARE_SENTENCE = """
    {side}_weights = Softmax <axis = 1> ({side}_logits)
    {side}_attended_after = MatMul ({side}_weights, {other}_values_after)
    {side}_length = Shape <start = 0, end = 1> ({side}_values)
    {side}_attended = Slice ({side}_attended_after, at_0, {side}_length, at_0)
    {side}_difference = Sub ({side}_values, {side}_attended)
    {side}_distance = Abs ({side}_difference)
    {side}_product = Mul ({side}_values, {side}_attended)
    {side}_features = Concat <axis = 1> ({side}_values, {side}_attended, {side}_distance, {side}_product)
    {side}_weighted = MatMul ({side}_features, weight)
    {side}_biased = Add ({side}_weighted, bias)
    {side}_compared = Relu ({side}_biased)
    {side}_compared_after = Pad ({side}_compared, row_after, zero_float)
    {side}_sum = ReduceSum ({side}_compared_after, at_0)
    {side}_at_least_one = Max ({side}_length, at_1)
    {side}_divisor = Cast <to = 1> ({side}_at_least_one)
    {side}_mean = Div ({side}_sum, {side}_divisor)
    {side}_largest = ReduceMax ({side}_compared_after, at_0)
    {side}_row = Concat <axis = 1> ({side}_mean, {side}_largest)"""


def align_pairs_function() -> onnx.FunctionProto:
    """``ai.cmow::AlignPairs``; inputs and output as in `export.ops.align_reference.align_pairs`.

    The function has the op's name and domain: ONNX Runtime prefers a registered kernel, and inlines this function
    otherwise.
    """
    reads = [READ_SENTENCE.format(side=side, position=at) for side, at in (("left", "zero"), ("right", "one"))]
    sides = [COMPARE_SENTENCE.format(side=side, other=other) for side, other in (("left", "right"), ("right", "left"))]
    return onnx.parser.parse_function(
        BODY.format(read_sentences="".join(reads).strip(), compare_sentences="".join(sides).strip())
    )

"""``EncodePairs`` as a model-local ONNX function, which stock ONNX Runtime runs where the kernel library is missing."""

from __future__ import annotations

import onnx
import onnx.parser

# Loops over the pairs, so that memory holds the logits [n, m] of one pair at a time, and over the blocks of each.
#
# Products of whole numbers up to 127 * 63 * 2048 are exact in float32, so a plain MatMul gives what integers would.
#
# Each sentence is followed by one more token to attend to, of value zero and the lowest logit: beside any real token
# its weight is exactly zero, and alone, after an empty sentence, it is the zero vector that the other side finds.
# Likewise a row of the lowest number follows the features before the maximum is taken.
BODY = """
<opset_import: ["" : 18], domain: "ai.cmow">
EncodePairs (token_ids, cu_seqlens, pairs, rows, scales, places, mix, mix_scales, mix_bias,
             key, key_scales, key_bias, fuse, fuse_scales, fuse_bias) => (pooled)
{{
  true = Constant <value = bool {{1}}> ()
  zero = Constant <value = int64 {{0}}> ()
  one = Constant <value = int64 {{1}}> ()
  at_0 = Constant <value = int64[1] {{0}}> ()
  at_1 = Constant <value = int64[1] {{1}}> ()
  flat = Constant <value = int64[1] {{-1}}> ()
  row_before = Constant <value = int64[4] {{1, 0, 0, 0}}> ()
  row_after = Constant <value = int64[4] {{0, 0, 1, 0}}> ()
  row_and_column_after = Constant <value = int64[4] {{0, 0, 1, 1}}> ()
  zero_float = Constant <value = float {{0}}> ()
  lowest = Constant <value = float {{-3.4028234663852886e38}}> ()
  three = Constant <value = float {{3}}> ()
  six = Constant <value = float {{6}}> ()
  largest_activation = Constant <value = float {{127}}> ()
  smallest_row = Constant <value = float {{1e-30}}> ()
  feature_0 = Constant <value = int64 {{0}}> ()
  feature_1 = Constant <value = int64 {{1}}> ()
  feature_2 = Constant <value = int64 {{2}}> ()
  feature_3 = Constant <value = int64 {{3}}> ()

  mix_float = Cast <to = 1> (mix)
  key_float = Cast <to = 1> (key)
  fuse_float = Cast <to = 1> (fuse)
  blocks_1d = Shape <start = 0, end = 1> (mix)
  blocks = Squeeze (blocks_1d)
  key_size = Shape <start = 2, end = 3> (key)
  key_size_float = Cast <to = 1> (key_size)
  key_divisor = Sqrt (key_size_float)
  place_count = Shape <start = 0, end = 1> (places)
  last_place = Sub (place_count, at_1)
  count_1d = Shape <start = 0, end = 1> (pairs)
  count = Squeeze (count_1d)

  row_of_pair = Loop (count, true) <body = each_pair (
      int64 index, bool go_on) => (bool go_on_out, float[2, columns] row)
  {{
    go_on_out = Identity (go_on)
    pair = Gather (pairs, index)
    {read_sentences}

    left, right = Loop (blocks, true, left_features, right_features) <body = each_block (
        int64 block, bool going, float[n, w] left_in, float[m, w] right_in)
        => (bool going_out, float[n, w] left_out, float[m, w] right_out)
    {{
      going_out = Identity (going)
      mix_weight = Gather (mix_float, block)
      mix_scale = Gather (mix_scales, block)
      mix_shift = Gather (mix_bias, block)
      key_weight = Gather (key_float, block)
      key_scale = Gather (key_scales, block)
      key_shift = Gather (key_bias, block)
      fuse_weights = Gather (fuse_float, block)
      fuse_scale_rows = Gather (fuse_scales, block)
      fuse_shift = Gather (fuse_bias, block)
      {read_fuse}
      {mix_sentences}

      right_transposed = Transpose <perm = [1, 0]> (right_keys)
      undivided = MatMul (left_keys, right_transposed)
      logits = Div (undivided, key_divisor)
      left_logits = Pad (logits, row_and_column_after, lowest)
      right_logits = Transpose <perm = [1, 0]> (left_logits)
      {fuse_sentences}
    }}>
    {pool_sentences}
    row = Concat <axis = 0> (left_row, right_row)
  }}>

  width = Shape <start = 1, end = 2> (rows)
  columns_count = Add (width, width)
  two = Constant <value = int64[1] {{2}}> ()
  pooled_shape = Concat <axis = 0> (count_1d, two, columns_count)
  pooled = Reshape <allowzero = 1> (row_of_pair, pooled_shape)
}}
"""

READ_SENTENCE = """
    {side}_sentence = Gather (pair, {position})
    {side}_next = Add ({side}_sentence, one)
    {side}_start = Gather (cu_seqlens, {side}_sentence)
    {side}_end = Gather (cu_seqlens, {side}_next)
    {side}_start_1d = Reshape ({side}_start, flat)
    {side}_end_1d = Reshape ({side}_end, flat)
    {side}_ids = Slice (token_ids, {side}_start_1d, {side}_end_1d)
    {side}_length = Sub ({side}_end, {side}_start)
    {side}_positions = Range (zero, {side}_length, one)
    {side}_places = Min ({side}_positions, last_place)
    {side}_place_rows = Gather (places, {side}_places)
    {side}_rows_stored = Gather (rows, {side}_ids)
    {side}_rows_float = Cast <to = 1> ({side}_rows_stored)
    {side}_scales_1d = Gather (scales, {side}_ids)
    {side}_scales = Unsqueeze ({side}_scales_1d, at_1)
    {side}_rows = Mul ({side}_rows_float, {side}_scales)
    {side}_placed = Add ({side}_rows, {side}_place_rows){hardswish}"""

HARDSWISH = """
    {x}_more = Add ({x}, three)
    {x}_clamped = Clip ({x}_more, zero_float, six)
    {x}_times = Mul ({x}, {x}_clamped)
    {y} = Div ({x}_times, six)"""

QUANTISE = """
      {x}_absolute = Abs ({x})
      {x}_most = ReduceMax ({x}_absolute, at_1)
      {x}_largest = Max ({x}_most, smallest_row)
      {x}_factor = Div (largest_activation, {x}_largest)
      {x}_unrounded = Mul ({x}, {x}_factor)
      {x}_rounded = Round ({x}_unrounded)
      {x}_row_scale = Div ({x}_largest, largest_activation)"""

PRODUCT = """
      {y}_integers = MatMul ({x}_rounded, {weight})
      {y}_columns = Mul ({y}_integers, {scale})
      {y} = Mul ({y}_columns, {x}_row_scale)"""

READ_FUSE = """
      fuse_weight_{i} = Gather (fuse_weights, feature_{i})
      fuse_scale_{i} = Gather (fuse_scale_rows, feature_{i})"""

MIX_SENTENCE = """{quantise}{product}
      {side}_rows_1d = Shape <start = 0, end = 1> ({side}_in)
      {side}_of_before, {side}_here, {side}_of_after = Split <axis = 1, num_outputs = 3> ({side}_mixes)
      {side}_before_padded = Pad ({side}_of_before, row_before, zero_float)
      {side}_before = Slice ({side}_before_padded, at_0, {side}_rows_1d, at_0)
      {side}_after_padded = Pad ({side}_of_after, row_after, zero_float)
      {side}_rows_and_one = Add ({side}_rows_1d, at_1)
      {side}_after = Slice ({side}_after_padded, at_1, {side}_rows_and_one, at_0)
      {side}_before_here = Add ({side}_before, {side}_here)
      {side}_around = Add ({side}_before_here, {side}_after)
      {side}_mixed = Add ({side}_around, mix_shift){hardswish}
      {side}_own = Add ({side}_in, {side}_change){key_quantise}{key_product}
      {side}_keys = Add ({side}_unbiased_keys, key_shift)
      {side}_own_after = Pad ({side}_own, row_after, zero_float)"""

FUSE_SENTENCE = """
      {side}_weights = Softmax <axis = 1> ({side}_logits)
      {side}_found_after = MatMul ({side}_weights, {other}_own_after)
      {side}_found = Slice ({side}_found_after, at_0, {side}_rows_1d, at_0)
      {side}_difference = Sub ({side}_own, {side}_found)
      {side}_distance = Abs ({side}_difference)
      {side}_product = Mul ({side}_own, {side}_found){products}
      {side}_sum_1 = Add ({side}_fused_0, {side}_fused_1)
      {side}_sum_2 = Add ({side}_sum_1, {side}_fused_2)
      {side}_sum_3 = Add ({side}_sum_2, {side}_fused_3)
      {side}_fused = Add ({side}_sum_3, fuse_shift){hardswish}
      {side}_out = Add ({side}_own, {side}_gain)"""

POOL_SENTENCE = """
    {side}_count = Shape <start = 0, end = 1> ({side})
    {side}_sum = ReduceSum ({side}, at_0)
    {side}_at_least_one = Max ({side}_count, at_1)
    {side}_divisor = Cast <to = 1> ({side}_at_least_one)
    {side}_mean = Div ({side}_sum, {side}_divisor)
    {side}_after_all = Pad ({side}, row_after, lowest)
    {side}_most = ReduceMax ({side}_after_all, at_0)
    {side}_is_empty = Equal ({side}_count, at_0)
    {side}_maximum = Where ({side}_is_empty, {side}_mean, {side}_most)
    {side}_row = Concat <axis = 1> ({side}_mean, {side}_maximum)"""


def _read_sentence(side: str, position: str) -> str:
    hardswish = HARDSWISH.format(x=f"{side}_placed", y=f"{side}_features")
    return READ_SENTENCE.format(side=side, position=position, hardswish=hardswish)


def _mix_sentence(side: str) -> str:
    return MIX_SENTENCE.format(
        side=side,
        quantise=QUANTISE.format(x=f"{side}_in"),
        product=PRODUCT.format(x=f"{side}_in", y=f"{side}_mixes", weight="mix_weight", scale="mix_scale"),
        hardswish=HARDSWISH.format(x=f"{side}_mixed", y=f"{side}_change"),
        key_quantise=QUANTISE.format(x=f"{side}_own"),
        key_product=PRODUCT.format(x=f"{side}_own", y=f"{side}_unbiased_keys", weight="key_weight", scale="key_scale"),
    )


def _fuse_sentence(side: str, other: str) -> str:
    """The features after the first, which `_mix_sentence` has rounded for the keys, are rounded here."""
    features = [f"{side}_{name}" for name in ("own", "found", "distance", "product")]
    products = "".join(QUANTISE.format(x=feature) for feature in features[1:]) + "".join(
        PRODUCT.format(x=feature, y=f"{side}_fused_{i}", weight=f"fuse_weight_{i}", scale=f"fuse_scale_{i}")
        for i, feature in enumerate(features)
    )
    hardswish = HARDSWISH.format(x=f"{side}_fused", y=f"{side}_gain")
    return FUSE_SENTENCE.format(side=side, other=other, products=products, hardswish=hardswish)


def encode_pairs_function() -> onnx.FunctionProto:
    """``ai.cmow::EncodePairs``; inputs and output as in `export.ops.pairs_reference.encode_pairs`.

    The function has the op's name and domain: ONNX Runtime prefers a registered kernel, and inlines this function
    otherwise.
    """
    sides = ("left", "right")
    return onnx.parser.parse_function(
        BODY.format(
            read_sentences="".join(map(_read_sentence, sides, ("zero", "one"))).strip(),
            read_fuse="".join(READ_FUSE.format(i=i) for i in range(4)).strip(),
            mix_sentences="".join(map(_mix_sentence, sides)).strip(),
            fuse_sentences="".join(map(_fuse_sentence, sides, reversed(sides))).strip(),
            pool_sentences="".join(POOL_SENTENCE.format(side=side) for side in sides).strip(),
        )
    )

"""A model that holds one op and nothing else, as tests and benchmarks need it."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper, numpy_helper

from export.ops.hybrid_body import DOMAIN
from export.ops.signatures import HYBRID_ENCODE, VERSION, Signature
from export.ops.tables import Arrays


def op_model(
    feeds: Arrays,
    constants: Arrays | None = None,
    body: onnx.FunctionProto | None = None,
    op: Signature = HYBRID_ENCODE,
) -> bytes:
    """Serialised model of one node of ``op``.

    Args:
        feeds: graph inputs by name; only their dtypes count, their shapes stay open.
        constants: further inputs of the op that become part of the model.
        body: portable function body; without one the model needs the kernel library.
        op: which op.
    """
    constants = constants or {}
    names = [name for name in op.inputs if name in feeds or name in constants]
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(feeds[name].dtype), None)
        for name in names
        if name in feeds
    ]
    output = helper.make_tensor_value_info(op.output, TensorProto.FLOAT, None)
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    node = helper.make_node(op.op_type, names, [op.output], domain=DOMAIN)
    model = helper.make_model(
        helper.make_graph([node], op.op_type, inputs, [output], initializers),
        functions=[] if body is None else [body],
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, VERSION)],
        ir_version=9,
    )
    return bytes(model.SerializeToString())

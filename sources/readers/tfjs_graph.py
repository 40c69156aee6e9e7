"""A TensorFlow.js graph as a callable whose weights are variables, so that it can be fine-tuned.

TensorFlow.js stores a frozen graph: nodes in JSON, weights beside it, some nodes fused. No library reads it without
pulling in its own TensorFlow, so this one puts the nodes back into a GraphDef and splits the fused ones.
"""

import base64
import copy
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from google.protobuf import json_format

from sources.readers import FormatError, reads
from sources.readers.weights import from_tfjs

_UNFUSED = {"_FusedConv2D": "Conv2D", "_FusedMatMul": "MatMul", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
_KEPT = ("T", "strides", "padding", "explicit_paddings", "data_format", "dilations", "transpose_a", "transpose_b")


@reads
def load(folder: Path) -> tuple[Callable, dict[str, tf.Variable]]:
    """Read a TensorFlow.js graph folder.

    Returns:
        run, a function of {placeholder name: tensor} and the name of a node, which returns that node's tensor; and the
        variables by name, in the order in which the graph uses them, from its input up, so that its top can be told.
        Constants that only prepare the input stay constants.

    Raises:
        FormatError: the folder is damaged, or of another format.
    """
    model, arrays = from_tfjs(folder)
    nodes = model["modelTopology"]["node"]
    prepares = {name for node in nodes if node["op"] == "BroadcastTo" for name in node["input"]}
    variables, graph = {}, tf.compat.v1.GraphDef()
    for node in nodes:
        name = node["name"]
        node["attr"].pop("value", None)  # a constant's value is in the shards
        parsed = json_format.ParseDict(_bytes_as_text(node), tf.compat.v1.NodeDef())
        if node["op"] == "Placeholder":
            continue
        if node["op"] != "Const":
            graph.node.extend(_split(parsed))
        elif arrays[name].dtype == "float32" and arrays[name].ndim and name not in prepares:
            variables[name] = tf.Variable(arrays[name], name=name.rsplit("/", 1)[-1].lstrip("_"))
        else:  # TensorFlow.js stores 64-bit numbers as 32-bit; the node knows
            del parsed.input[:]  # control edges to the placeholder
            parsed.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(arrays[name], parsed.attr["dtype"].type))
            graph.node.append(parsed)

    used = [name for node in nodes for name in node.get("input", []) if name in variables]
    variables = {name: variables[name] for name in [*used, *variables]}

    def run(feeds, output):
        values = {name: variable.read_value() for name, variable in variables.items()}
        try:
            return tf.import_graph_def(graph, {**values, **feeds}, [f"{output}:0"], name="graph")[0]
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise FormatError(f"{folder} has a graph that TensorFlow refuses ({error}).") from error

    return run, variables


def _bytes_as_text(node):
    """Old TensorFlow.js files store an attribute's bytes as lists of numbers; protobuf wants base64 text."""

    def text(value):
        return base64.b64encode(bytes(value)).decode() if isinstance(value, list) else value

    node = copy.deepcopy(node)
    for attribute in node["attr"].values():
        if "s" in attribute:
            attribute["s"] = text(attribute["s"])
        if "s" in attribute.get("list", {}):
            attribute["list"]["s"] = [text(value) for value in attribute["list"]["s"]]
    return node


def _split(node):
    """Give a fused node back as the plain ones it stands for."""
    if node.op not in _UNFUSED:
        return [node]
    steps = [_UNFUSED[node.op], *(step.decode() for step in node.attr["fused_ops"].list.s)]
    parts = []
    for number, op in enumerate(steps):
        part = tf.compat.v1.NodeDef(op=op, name=f"{node.name}/part_{number}")
        if number == 0:
            part.input.extend(node.input[:2])
            for key in _KEPT:
                if key in node.attr and not (key.startswith("transpose") and op != "MatMul"):
                    part.attr[key].CopyFrom(node.attr[key])
        else:
            part.input.append(parts[-1].name)
            if op == "BiasAdd":
                part.input.append(node.input[2])
            part.attr["T"].CopyFrom(node.attr["T"])
        parts.append(part)
    parts[-1].name = node.name
    return parts

"""Scores customers with an exported model, after ONNX's own checks of it.

Arguments: the model and the names of its outputs. Reads a list of batches, each with columns by feature, and
prints the outputs of each; all in JSON.
"""
import json, sys
import numpy as np, onnx, onnxruntime

path, names = sys.argv[1], sys.argv[2:]
model = onnx.load(path)
onnx.checker.check_model(model, full_check=True)
unused = {c.name for c in model.graph.initializer}.difference(*(node.input for node in model.graph.node))
assert not unused, unused
texts = {f.name for f in model.graph.input if f.type.tensor_type.elem_type == onnx.TensorProto.STRING}

def column(name, cells):
    if name in texts:
        return np.array(["" if cell is None else cell for cell in cells], object)[:, None]
    return np.array([np.nan if cell is None else cell for cell in cells], np.float64)[:, None]

def score(columns):
    probabilities, labels = session.run(names, {name: column(name, cells) for name, cells in columns.items()})
    return {"shapes": [probabilities.shape, labels.shape],
            "probabilities": probabilities.tolist(), "labels": labels.tolist()}

session = onnxruntime.InferenceSession(path)
print(json.dumps([score(columns) for columns in json.load(sys.stdin)]))

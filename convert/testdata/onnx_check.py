# Checks ONNX models with ONNX's own checker, shape inference included. Question: a
# list of files. Answer: what is wrong with each, or "".
import json
import sys

import onnx

answers = []
for path in json.load(sys.stdin):
    try:
        onnx.checker.check_model(path, full_check=True)
        onnx.shape_inference.infer_shapes(onnx.load(path), check_type=True, strict_mode=True, data_prop=True)
        answers.append("")
    except Exception as e:
        answers.append(str(e))
json.dump(answers, sys.stdout)

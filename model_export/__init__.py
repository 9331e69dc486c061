"""The training side: cases, networks, training, export to ONNX; the service never imports it."""

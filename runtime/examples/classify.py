"""Classifies an image and cuts a graph, with numpy alone. At the top of the checkout:

    PYTHONPATH=runtime/python python3 runtime/examples/classify.py
"""
import qama
session = qama.Model("weights/models/fashion-mnist-qama.safetensors").session()
print(session.classify("runtime/examples/images/shoe.png"))
print(qama.solve("runtime/examples/problems/petersen.mc"))

"""Another process with tensors on the GPU, which it shares as torch does: a JSON request a line in, an answer a line out.

  {"op": "make", "name", "bytes", "seed"}  -> {handle (hexadecimal digits), offset, sha256}: of random bytes
  {"op": "sha256", "name"}                 -> of what the tensor holds now
  {"op": "drop", "name"}                   -> null
"""
import hashlib
import json
import sys

import torch

tensors = {}


def sha256(tensor):
    return hashlib.sha256(tensor.cpu().numpy().tobytes()).hexdigest()


def make(request):
    generator = torch.Generator().manual_seed(request["seed"])
    source = torch.randint(0, 256, (request["bytes"],), dtype=torch.uint8, generator=generator)
    # Written by a stream of its own, as a model's kernels write, and waited for: that is the owner's part.
    stream = torch.cuda.Stream()
    tensor = torch.empty(request["bytes"], dtype=torch.uint8, device="cuda")
    with torch.cuda.stream(stream):
        tensor.copy_(source)
    stream.synchronize()
    tensors[request["name"]] = tensor
    _device, handle, _size, offset, *_rest = tensor.untyped_storage()._share_cuda_()
    return {"handle": handle.hex(), "offset": offset + tensor.storage_offset(), "sha256": sha256(tensor)}


def answer(request):
    if request["op"] == "make":
        return make(request)
    if request["op"] == "sha256":
        torch.cuda.synchronize()
        return sha256(tensors[request["name"]])
    del tensors[request["name"]]
    return None


for line in sys.stdin:
    try:
        reply = {"answer": answer(json.loads(line))}
    except Exception as error:
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)

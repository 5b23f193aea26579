"""Another process with tensors on the GPU, which it shares as torch does: a JSON request a line in, an answer a line out.

  {"op": "make", "name", "bytes", "seed"}  -> {handle (hexadecimal digits), offset, sha256}: of random bytes
  {"op": "sha256", "name"}                 -> of what the tensor holds now
  {"op": "later", "name", "seed"}          -> {event (hexadecimal digits), sha256, pending}: other random bytes, written after half a
                                              second; the event is behind that
  {"op": "drop", "name"}                   -> null
"""
import hashlib
import json
import sys

import torch

tensors = {}
kept = []


def sha256(tensor):
    return hashlib.sha256(tensor.cpu().numpy().tobytes()).hexdigest()


def make(request):
    source = random(request["bytes"], request["seed"])
    # Written by a stream of its own, as a model's kernels write, and waited for: that is the owner's part.
    stream = torch.cuda.Stream()
    tensor = torch.empty(request["bytes"], dtype=torch.uint8, device="cuda")
    with torch.cuda.stream(stream):
        tensor.copy_(source)
    stream.synchronize()
    tensors[request["name"]] = tensor
    _device, handle, _size, offset, *_rest = tensor.untyped_storage()._share_cuda_()
    return {"handle": handle.hex(), "offset": offset + tensor.storage_offset(), "sha256": sha256(tensor)}


def random(count, seed):
    return torch.randint(0, 256, (count,), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def later(request):
    tensor = tensors[request["name"]]
    source = random(tensor.numel(), request["seed"])
    on_gpu = source.cuda()
    event = torch.cuda.Event(enable_timing=False, interprocess=True)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(1_000_000_000)
        tensor.copy_(on_gpu)
        event.record()
    kept.append((event, on_gpu))
    return {"event": event.ipc_handle().hex(), "sha256": sha256(source), "pending": not event.query()}


def answer(request):
    if request["op"] == "make":
        return make(request)
    if request["op"] == "later":
        return later(request)
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

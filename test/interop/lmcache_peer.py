"""The released LMCache's own GDS backend as a process: one JSON request a line in, one JSON answer a line out.

Device memory is host memory here: libcufile is the stand-in that fake_cufile.c makes, and LMCache's CUDA kernels,
which none of this uses, are empty modules. With --gpu nothing is stood in for: it needs a GPU and LMCache as installed
for it. What LMCache writes, finds and reads is its own doing.

  {"op": "open", "path": DIR, "use_gds": true}                      -> fstype as LMCache sees it
  {"op": "store", "chunks": [{key, shape, dtype, fmt, seed}, ...]}  -> [{path, sha256}, ...]
  {"op": "load", "keys": [KEY, ...]}                                -> [{hit, shape, dtype, fmt, sha256}, ...]
  {"op": "scan"}                                                    -> the keys that a new process finds at start
  {"op": "config", "file": YAML}                                    -> what LMCache's loader makes of it
  {"op": "hash", "tokens", "algorithm", "chunk_size", "model"}      -> its chunks' keys (without vLLM: builtin, NONE_HASH 0)
"""
import asyncio
import hashlib
import importlib.machinery
import json
import logging
import os
import sys
import threading
import types
from unittest.mock import MagicMock


class EmptyModule(types.ModuleType):
    """Stands for a compiled module that is imported at start and never called."""

    def __init__(self, name):
        super().__init__(name)
        self.__path__ = []
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)

    def __getattr__(self, attribute):
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return MagicMock(name=attribute)


for missing in () if "--gpu" in sys.argv else ("lmcache.c_ops", "nixl", "nixl._api"):
    sys.modules[missing] = EmptyModule(missing)
logging.disable(logging.CRITICAL)

import torch  # noqa: E402
from lmcache.utils import parse_cache_key  # noqa: E402
from lmcache.v1.config import LMCacheEngineConfig  # noqa: E402
from lmcache.v1.memory_management import MemoryFormat  # noqa: E402
from lmcache.v1.metadata import LMCacheMetadata  # noqa: E402
from lmcache.v1.storage_backend.gds_backend import GdsBackend  # noqa: E402


def metadata(model="m", chunk_size=256):
    return LMCacheMetadata(model, 1, 1, 0, 0, torch.bfloat16, (32, 2, chunk_size, 8, 128))


def digest(tensor):
    flat = tensor.contiguous().view(torch.uint8).cpu().numpy()
    return hashlib.sha256(flat.tobytes()).hexdigest()


class Peer:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.backend = None
        self.path = None
        self.use_gds = True

    def make(self, buffer_mib):
        config = LMCacheEngineConfig.from_defaults(
            chunk_size=256,
            gds_path=self.path,
            gds_buffer_size=buffer_mib,
            use_gds=self.use_gds,
            extra_config={"disk_io_threads": 4},
        )
        config._user_set_keys = {"use_gds"}  # else LMCache turns it off on filesystems it does not know
        # It starts its scan of the directory before its constructor has set all that the scan reads.
        for attempt in range(20):
            try:
                backend = GdsBackend(config, metadata(), self.loop, "cuda:0")
                backend._scan_metadata_future.result()
                return backend
            except AttributeError:
                if attempt == 19:
                    raise

    def open(self, request):
        self.path = request["path"]
        self.use_gds = request.get("use_gds", True)
        self.backend = self.make(64)
        return {"fstype": self.backend.fstype}

    def store(self, request):
        answers = []
        for chunk in request["chunks"]:
            key = parse_cache_key(chunk["key"])
            shape, dtype = torch.Size(chunk["shape"]), getattr(torch, chunk["dtype"])
            memory = self.backend.allocate(shape, dtype, MemoryFormat(chunk["fmt"]))
            flat = memory.tensor.view(torch.uint8)
            generator = torch.Generator().manual_seed(chunk["seed"])
            flat.copy_(torch.randint(0, 256, flat.shape, dtype=torch.uint8, generator=generator))
            answers.append({"path": self.backend._key_to_path(key)[0], "sha256": digest(memory.tensor)})
            self.backend.submit_put_task(key, memory).result()
            memory.ref_count_down()
        asyncio.run_coroutine_threadsafe(self.sidecars(), self.loop).result()
        return answers

    async def sidecars(self):
        await asyncio.gather(*list(self.backend.save_metadata_tasks))

    def load(self, request):
        return [self.load_one(parse_cache_key(key)) for key in request["keys"]]

    def load_one(self, key):
        if not self.backend.contains(key):
            return {"hit": False}
        memory = self.backend.batched_get_blocking([key])[0]
        if memory is None:
            return {"hit": False, "error": "found, but not loaded"}
        answer = {
            "hit": True,
            "shape": list(memory.tensor.shape),
            "dtype": str(memory.tensor.dtype).removeprefix("torch."),
            "fmt": memory.metadata.fmt.value,
            "sha256": digest(memory.tensor),
        }
        memory.ref_count_down()
        return answer

    def scan(self, _request):
        return sorted(key.to_string() for key in self.make(8).hot_cache)

    def config(self, request):
        config = LMCacheEngineConfig.from_file(request["file"])
        names = ("chunk_size", "local_cpu", "gds_path", "gds_buffer_size", "pre_caching_hash_algorithm", "extra_config")
        return {name: getattr(config, name, None) for name in names}

    def hash(self, request):
        from lmcache.v1.token_database import ChunkedTokenDatabase

        size = request.get("chunk_size", 256)
        config = LMCacheEngineConfig.from_defaults(chunk_size=size, pre_caching_hash_algorithm=request["algorithm"])
        database = ChunkedTokenDatabase(config, metadata(request.get("model", "m"), size))
        chunks = database.process_tokens(tokens=request["tokens"], make_key=True, request_configs=request.get("tags"))
        return [{"start": start, "end": end, "key": key.to_string()} for start, end, key in chunks]


peer = Peer()
for line in sys.stdin:
    question = json.loads(line)
    try:
        reply = {"answer": getattr(peer, question["op"])(question)}
    except BaseException as error:
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
os._exit(0)

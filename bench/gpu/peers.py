"""LMCache, KvikIO and NIXL on one GPU, each as its users call it: loads and stores of whole chunks, every byte checked.

    peers.py PEER DIR BYTES FILES [--threads N] [--repeats N] [--store]

PEER is lmcache-gds, lmcache-posix (its fallback), kvikio or nixl. Prints one JSON line a run:
{peer, what, bytes, files, threads, best, median, values (GB/s), cpu (seconds a GiB), us (a chunk), verified, note}, or
{peer, skipped: why} where it cannot run here. Files are in the page cache when they are read.
"""
import argparse
import json
import os
import resource
import statistics
import sys
import time

GIB = 2**30
HEADER = 4096
SLICE = 4 * 2**20


class Skipped(Exception):
    """This peer cannot run here; the message says why."""


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Bench:
    """The chunks, what they must hold, and the clock."""

    def __init__(self, torch, arguments):
        self.torch = torch
        self.peer, self.root = arguments.peer, arguments.directory
        self.bytes, self.files = arguments.bytes, arguments.files
        self.threads, self.repeats = arguments.threads, arguments.repeats
        self.store = arguments.store
        self.words = torch.arange(self.bytes // 8, dtype=torch.int64, device="cuda")

    def fill(self, chunk, tensor):
        tensor.copy_(self.expected(chunk))

    def expected(self, chunk):
        """The words of a chunk; no two chunks, and hardly two words, are alike."""
        return (self.words + chunk * self.words.numel() + 1) * 0x1E3779B97F4A7C15

    def holds(self, chunk, tensor):
        return bool(self.torch.equal(tensor, self.expected(chunk)))

    def run(self, what, work, before=None, verify=None, repeats=None, note=None):
        """Repeats `work`, and verifies what the first of them left; `before` runs untimed ahead of each."""
        seconds, cpu, verified = [], [], None
        for repeat in range((repeats or self.repeats) + 1):
            if before:
                before()
            self.torch.cuda.synchronize()
            cpu_start, start = cpu_seconds(), time.perf_counter()
            work()
            self.torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
            cpu.append(cpu_seconds() - cpu_start)
            if repeat == 0 and verify:
                verified = verify()
        total = self.bytes * self.files
        # The first warms up, and is the one that is verified.
        del seconds[0], cpu[0]
        answer = {
            "peer": self.peer,
            "what": what,
            "bytes": self.bytes,
            "files": self.files,
            "threads": self.threads,
            "best": round(total / min(seconds) / 1e9, 2),
            "median": round(total / statistics.median(seconds) / 1e9, 2),
            "values": [round(total / one / 1e9, 3) for one in seconds],
            "cpu": round(statistics.median(cpu) / (total / GIB), 3),
            "us": round(statistics.median(seconds) / self.files * 1e6, 1),
            "verified": verified,
        }
        print(json.dumps({**answer, **({"note": note} if note else {})}), flush=True)


def emptied(folder):
    """Takes the bytes of old files away, and leaves the files: ext4 without a journal makes new ones slowly where others
    were deleted less than a minute ago."""
    for place, _, names in os.walk(folder):
        for name in names:
            os.truncate(os.path.join(place, name), 0)


class PlainFiles:
    """Files of a header and a payload, for peers without a format of their own."""

    def __init__(self, bench):
        self.bench = bench
        self.folder = f"{bench.root}/peer-{bench.bytes}"
        os.makedirs(self.folder, exist_ok=True)
        self.paths = [f"{self.folder}/{chunk}" for chunk in range(bench.files)]
        for chunk, path in enumerate(self.paths):
            if os.path.exists(path) and os.path.getsize(path) == HEADER + bench.bytes:
                continue
            with open(path, "wb") as file:
                file.write(bytes(HEADER))
                file.write(memoryview(bench.expected(chunk).cpu().numpy()).cast("B"))
        self.device = bench.torch.zeros(bench.files * bench.bytes, dtype=bench.torch.uint8, device="cuda")

    def chunk(self, index):
        size = self.bench.bytes
        return self.device[index * size : (index + 1) * size]

    def poison(self):
        self.device.fill_(0xA5)

    def verify_device(self):
        words = self.bench.torch.int64
        return all(self.bench.holds(chunk, self.chunk(chunk).view(words)) for chunk in range(self.bench.files))

    def fill_device(self):
        for chunk in range(self.bench.files):
            self.bench.fill(chunk, self.chunk(chunk).view(self.bench.torch.int64))

    def verify_files(self, paths):
        import numpy

        for chunk, path in enumerate(paths):
            words = numpy.fromfile(path, dtype=numpy.int64, offset=HEADER)
            if not self.bench.holds(chunk, self.bench.torch.from_numpy(words).cuda()):
                return False
        return True


def lmcache(bench, use_gds):
    """Its GdsBackend, with use_gds or with the fallback that maps the file and copies it."""
    import asyncio
    import logging
    import threading

    logging.disable(logging.CRITICAL)
    os.environ["LMCACHE_TRACK_USAGE"] = "false"
    try:
        from lmcache.utils import CacheEngineKey
        from lmcache.v1.config import LMCacheEngineConfig
        from lmcache.v1.memory_management import MemoryFormat
        from lmcache.v1.metadata import LMCacheMetadata
        from lmcache.v1.storage_backend.gds_backend import GdsBackend
    except ImportError as error:
        raise Skipped(f"lmcache is not importable: {error}") from error

    torch = bench.torch
    folder = f"{bench.root}/{bench.peer}-{bench.threads}-{bench.bytes}"
    config = LMCacheEngineConfig.from_defaults(
        chunk_size=256,
        gds_path=folder,
        gds_buffer_size=bench.bytes * bench.files // 2**20 + 64,
        use_gds=use_gds,
        extra_config={"disk_io_threads": bench.threads},
    )
    config._user_set_keys = {"use_gds"}  # else it is turned off on filesystems that LMCache does not know
    metadata = LMCacheMetadata("bench", 1, 1, 0, 0, torch.bfloat16, (32, 2, 256, 8, 128))
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    backend = GdsBackend(config, metadata, loop, "cuda:0")
    note = f"use_gds {backend.use_gds} on {backend.fstype}"
    shape = torch.Size([2, 1, 256, bench.bytes // (2 * 256 * 2)])

    def allocate():
        objects = backend.batched_allocate(shape, torch.bfloat16, bench.files, MemoryFormat.KV_2LTD)
        if objects is None:
            raise Skipped("LMCache's buffer is too small for all chunks")
        return objects

    def words(memory):
        return memory.tensor.view(-1).view(torch.int64)

    def release(objects):
        for memory in objects:
            memory.ref_count_down()

    state = {"round": 0, "keys": [], "objects": []}

    def before_store():
        emptied(folder)
        state["round"] += 1
        first = state["round"] << 40
        state["keys"] = [
            CacheEngineKey("bench", 1, 0, (first + chunk) * 0x1E3779B97F4A7C15 % 2**63, torch.bfloat16)
            for chunk in range(bench.files)
        ]
        release(state["objects"])
        state["objects"] = allocate()
        for chunk, memory in enumerate(state["objects"]):
            bench.fill(chunk, words(memory))

    def store():
        for future in backend.batched_submit_put_task(state["keys"], state["objects"]):
            future.result()

    def drop_and_poison():
        release(state["objects"])
        state["objects"] = allocate()
        for memory in state["objects"]:
            words(memory).fill_(-1)
        release(state["objects"])
        state["objects"] = []

    def load():
        state["objects"] = backend.batched_get_blocking(state["keys"])

    def verify():
        loaded = state["objects"]
        return all(memory is not None and bench.holds(chunk, words(memory)) for chunk, memory in enumerate(loaded))

    def sidecars():
        pending = list(backend.save_metadata_tasks)

        async def gather():
            await asyncio.gather(*pending)

        asyncio.run_coroutine_threadsafe(gather(), loop).result()

    def verify_store():
        sidecars()
        drop_and_poison()
        load()
        return verify()

    if bench.store:
        bench.run("store", store, before_store, verify_store, repeats=2, note=note)
    else:
        before_store()
        store()
    sidecars()
    bench.run("load", load, drop_and_poison, verify, note=note)
    emptied(folder)


def kvikio(bench):
    """Its thread pool; in compatibility mode, since without nvidia-fs that is the faster one."""
    try:
        import cupy
        import kvikio as library
        from kvikio import defaults
    except ImportError as error:
        raise Skipped(f"kvikio is not importable: {error}") from error

    defaults.set({"num_threads": bench.threads, "task_size": SLICE, "compat_mode": library.CompatMode.ON})
    plain = PlainFiles(bench)
    array = cupy.asarray(plain.device)

    def each(paths, mode, call):
        handles = [library.CuFile(path, mode) for path in paths]
        size = bench.bytes
        futures = [
            getattr(handle, call)(array[chunk * size : (chunk + 1) * size], file_offset=HEADER)
            for chunk, handle in enumerate(handles)
        ]
        for future in futures:
            if future.get() != size:
                raise RuntimeError("KvikIO moved too few bytes")
        for handle in handles:
            handle.close()

    bench.run("load", lambda: each(plain.paths, "r", "pread"), plain.poison, plain.verify_device, note="compat mode")
    if bench.store:
        folder = f"{plain.folder}-new"
        written = []

        def before_store():
            emptied(folder)
            place = f"{folder}/{time.monotonic_ns()}"
            os.makedirs(place)
            written[:] = [f"{place}/{chunk}" for chunk in range(bench.files)]

        plain.fill_device()
        verify = lambda: plain.verify_files(written)  # noqa: E731
        bench.run("store", lambda: each(written, "w", "pwrite"), before_store, verify, repeats=2, note="compat mode")
        emptied(folder)


def nixl(bench):
    """Its backend GDS_MT."""
    try:
        from nixl_cu13._api import nixl_agent, nixl_agent_config
    except ImportError:
        try:
            from nixl._api import nixl_agent, nixl_agent_config
        except ImportError as error:
            raise Skipped(f"nixl is not importable: {error}") from error

    agent = nixl_agent("bench", nixl_agent_config(backends=[]))
    backend = "GDS_MT"
    try:
        agent.create_backend(backend, {"thread_count": str(bench.threads)})
    except Exception as error:
        raise Skipped(f"NIXL has no {backend}: {error}") from error
    plain = PlainFiles(bench)
    agent.register_memory(plain.device, backends=[backend])
    descriptors = [os.open(path, os.O_RDWR) for path in plain.paths]
    try:
        files = [(0, HEADER + bench.bytes, fd, str(chunk)) for chunk, fd in enumerate(descriptors)]
        agent.register_memory(files, "FILE", backends=[backend])
    except Exception as error:
        raise Skipped(f"NIXL cannot register files here: {error}") from error

    def transfer(direction):
        base, size = plain.device.data_ptr(), bench.bytes
        memory = [(base + chunk * size, size, 0) for chunk in range(bench.files)]
        files = [(HEADER, size, fd) for fd in descriptors]
        local, remote = agent.get_xfer_descs(memory, "VRAM"), agent.get_xfer_descs(files, "FILE")
        handle = agent.initialize_xfer(direction, local, remote, "bench", backends=[backend])
        state = agent.transfer(handle)
        while state == "PROC":
            state = agent.check_xfer_state(handle)
        if state != "DONE":
            raise RuntimeError(f"NIXL ended in state {state}")
        agent.release_xfer_handle(handle)

    note = f"{backend}, files open and registered beforehand"
    bench.run("load", lambda: transfer("READ"), plain.poison, plain.verify_device, note=note)
    if bench.store:
        plain.fill_device()
        verify = lambda: plain.verify_files(plain.paths)  # noqa: E731
        bench.run("store", lambda: transfer("WRITE"), None, verify, repeats=2, note=f"{note}; overwrites")


PEERS = {
    "lmcache-gds": lambda bench: lmcache(bench, True),
    "lmcache-posix": lambda bench: lmcache(bench, False),
    "kvikio": kvikio,
    "nixl": nixl,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("directory")
    parser.add_argument("bytes", type=int)
    parser.add_argument("files", type=int)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--store", action="store_true")
    arguments = parser.parse_args()
    status = 0
    try:
        try:
            import torch
        except ImportError as error:
            raise Skipped(f"torch is not importable: {error}") from error
        if not torch.cuda.is_available():
            raise Skipped("torch sees no GPU")
        PEERS[arguments.peer](Bench(torch, arguments))
    except Skipped as why:
        print(json.dumps({"peer": arguments.peer, "skipped": str(why)}), flush=True)
    except Exception as error:  # its own failure is an answer too
        print(json.dumps({"peer": arguments.peer, "failed": f"{type(error).__name__}: {error}"}), flush=True)
        status = 1
    sys.stdout.flush()
    # Their threads, loops and exit handlers are not waited for.
    os._exit(status)


main()

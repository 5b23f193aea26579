{
  "variables": {
    "core_sources": [
      "native/core/device.cc",
      "native/core/device_memory.cc",
      "native/core/device_slices.cc",
      "native/core/engine.cc",
      "native/core/file_cache.cc",
      "native/core/files_faulty.cc",
      "native/core/files_posix.cc",
      "native/core/gds.cc",
      "native/core/lane.cc",
      "native/core/load.cc",
      "native/core/operations.cc",
      "native/core/publish.cc",
      "native/core/python_hash.cc",
      "native/core/queue.cc",
      "native/core/stage_memory.cc",
      "native/core/store.cc",
      "native/core/sums.cc",
      "native/core/transfer.cc",
      "native/core/tuple_bytes.cc",
      "native/core/xxh_chain.cc",
      "native/shim/cuda.cc",
      "native/shim/cufile.cc",
      "native/shim/library.cc"
    ],
    "binding_sources": [
      "native/binding/addon.cc",
      "native/binding/arguments.cc",
      "native/binding/aside.cc",
      "native/binding/completions.cc",
      "native/binding/device_session.cc",
      "native/binding/engine_object.cc",
      "native/binding/pure.cc"
    ]
  }
}

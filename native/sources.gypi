{
  "variables": {
    "core_sources": [
      "native/core/engine.cc",
      "native/core/file_cache.cc",
      "native/core/files_faulty.cc",
      "native/core/files_posix.cc",
      "native/core/load.cc",
      "native/core/operations.cc",
      "native/core/publish.cc",
      "native/core/python_hash.cc",
      "native/core/queue.cc",
      "native/core/store.cc",
      "native/core/sums.cc",
      "native/core/transfer.cc",
      "native/core/tuple_bytes.cc",
      "native/core/xxh_chain.cc"
    ],
    "binding_sources": [
      "native/binding/addon.cc",
      "native/binding/arguments.cc",
      "native/binding/completions.cc",
      "native/binding/engine_object.cc",
      "native/binding/pure.cc"
    ]
  }
}

{
  "includes": ["native/sources.gypi"],
  "targets": [
    {
      "target_name": "kv_offload",
      "sources": ["<@(core_sources)", "<@(binding_sources)"],
      "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except"],
      "defines": ["NAPI_VERSION=9"],
      "cflags_cc": ["-std=c++20", "-fvisibility=hidden", "-Wall", "-Wextra"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "ldflags": ["-Wl,-z,nodelete"]
    }
  ]
}

/** cufile.json in the two forms that matter: as CUDA 13.0 installs it (shortened), and as WekaFS needs it. */

/** Comments, empty RDMA list, no RDMA writes on WekaFS, compatibility mode: silently no GPUDirect Storage there. */
export const STOCK = `{
    // NOTE : Application can override custom configuration via export CUFILE_ENV_PATH_JSON=<filepath>
    "logging": {
        // log directory, if not enabled will create log file under current working directory
        //"dir": "/home/<xxxx>",
        "level": "ERROR"
    },
    "execution" : {
            /* max number of workitems in the queue */
            "max_io_queue_depth": 128,
            "max_io_threads" : 4,
            "parallel_io" : true,
            "min_io_threshold_size_kb" : 8192,
            "max_request_parallelism" : 4
    },
    "properties": {
            "max_direct_io_size_kb" : 16384,
            "max_device_pinned_mem_size_kb" : 33554432,
            // true or false
            "allow_compat_mode": true,
            "gds_rdma_write_support": true,
            // client-side rdma addr list for user-space file-systems(e.g ["10.0.1.0", "10.0.2.0"])
            "rdma_dev_addr_list": [ ],
            "rdma_peer_affinity_policy": "RoundRobin"
    },
    "fs": {
            "generic": { "posix_unaligned_writes": false },
            "weka": {
                    // enable/disable WekaFS rdma write
                    "rdma_write_support" : false
            }
    },
    "denylist": { "drivers": [ ], "devices": [ ], "mounts": [ ], "filesystems": [ ] }
}
`;

/** What a node with those InfiniBand addresses needs. */
export function wekaCufile(addresses: readonly string[], more: (text: string) => string = (text) => text): string {
  return more(
    STOCK.replace('"max_io_threads" : 4', '"max_io_threads" : 0')
      .replace('"rdma_dev_addr_list": [ ]', `"rdma_dev_addr_list": ${JSON.stringify(addresses)}`)
      .replace('"rdma_write_support" : false', '"rdma_write_support" : true'),
  );
}

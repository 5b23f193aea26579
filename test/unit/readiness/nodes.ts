/** Recorded nodes that the tests examine: one that is ready, and the others by what they differ in. */
import { STOCK, wekaCufile } from './cufile-files.js';
import type { Entry, Tree } from './trees.js';

const OPTIONS =
  'rw,writecache,readahead_kb=32768,dentry_max_age_positive=1000,dentry_max_age_negative=0,container_name=client';
const ROOT = '27 1 259:2 / / rw,relatime - ext4 /dev/nvme0n1p2 rw\n';
const CUDA = 'usr/local/cuda-13.0';
const ADDRESSES = ['10.27.1.11', '10.27.1.12'];

/** A tree without some of its paths. */
export function without(tree: Tree, ...paths: readonly string[]): Tree {
  return Object.fromEntries(Object.entries(tree).filter(([path]) => !paths.some((one) => path.startsWith(one))));
}

/** gdscheck's lines of interest, as before 1.16. */
export function oldGdscheck(weka = 'Supported', peerDirect = 'Enabled', devices = 'Configured'): string {
  return ` GDS release version: 1.15.1.6
 nvidia_fs version:  2.28 libcufile version: 2.12
 Platform: x86_64
 ============
 ENVIRONMENT:
 ============
 =====================
 DRIVER CONFIGURATION:
 =====================
 NVMe               : Supported
 WekaFS             : ${weka}
 Userspace RDMA     : Supported
 --Mellanox PeerDirect : ${peerDirect}
 --rdma library        : Loaded (libcufile_rdma.so)
 --rdma devices        : ${devices}
 --rdma_device_status  : Up: 2 Down: 0
 =====================
 CUFILE CONFIGURATION:
 =====================
 properties.use_compat_mode : true
 fs.generic.posix_unaligned_writes : false
 =========
 GPU INFO:
 =========
 GPU index 0 NVIDIA H100 80GB HBM3 bar:1 bar size (MiB):131072 supports GDS, IOMMU State: Disabled
 ==============
 PLATFORM INFO:
 ==============
 IOMMU: disabled
 Nvidia Driver Info Status: Supported(Nvidia Open Driver Installed)
 Platform verification succeeded
`;
}

/** The same since 1.16. */
export function newGdscheck(weka = 'dmabuf, compat', dmaBuf = 'Enabled'): string {
  return oldGdscheck(weka, 'Disabled').replace(
    ' --rdma library',
    ` --DmaBuf support      : ${dmaBuf}\n --rdma library`,
  );
}

/** libcufile of a version below a CUDA's directory. */
export function library(version: string, cuda = CUDA): Tree {
  const lib = `${cuda}/targets/x86_64-linux/lib`;
  return {
    [`${lib}/libcufile.so.${version}`]: '',
    [`${lib}/libcufile.so.0`]: { to: `libcufile.so.${version}` },
    [`${lib}/libcufile.so`]: { to: 'libcufile.so.0' },
    'usr/local/cuda': { to: `/${cuda}` },
  };
}

/** Settings, as environment variables. */
export function environ(more: Readonly<Record<string, string>> = {}): string {
  const all = {
    HOME: '/root',
    LMCACHE_WEKA_PATH: '/mnt/weka/cache',
    LMCACHE_CUFILE_BUFFER_SIZE: '2048',
    LMCACHE_PRE_CACHING_HASH_ALGORITHM: 'sha256_cbor',
    ...more,
  };
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value}\0`)
    .join('');
}

/** The root on ext4, WEKA on /mnt/weka. */
export const WEKA_MOUNTINFO = `${ROOT}41 27 0:51 / /mnt/weka rw,relatime shared:9 - wekafs 10.27.1.1/default ${OPTIONS}\n`;

/** A DGX-like node on which everything is as it should be. */
export const READY: Tree = {
  'proc/modules': [
    'nvidia_fs 344064 0 - Live 0x0000000000000000 (OE)',
    'nvidia_peermem 16384 0 - Live 0x0000000000000000 (OE)',
    'nvidia_uvm 4956160 4 - Live 0x0000000000000000 (OE)',
    'nvidia 103960576 103 nvidia_fs,nvidia_peermem,nvidia_uvm, Live 0x0000000000000000 (OE)',
    'wekafsio 1048576 2 - Live 0x0000000000000000 (OE)\n',
  ].join('\n'),
  'proc/driver/nvidia/version':
    'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder)  Tue Sep 23\nGCC version:  gcc version 13.3.0\n',
  'proc/driver/nvidia-fs/version': 'version: 2.28\n',
  'sys/module/nvidia_fs/version': '2.28.4\n',
  'sys/kernel/mm/memory_peers/nv_mem/version': '1.2\n',
  'sys/kernel/mm/memory_peers/nvidia-fs/version': '1.0\n',
  'proc/self/mountinfo': WEKA_MOUNTINFO,
  'proc/self/limits':
    'Limit                     Soft Limit           Hard Limit           Units     \nMax locked memory         unlimited            unlimited            bytes     \n',
  'proc/self/status': 'Name:\tnode\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n',
  'proc/self/environ': environ(),
  'proc/meminfo': 'MemTotal:       2113394688 kB\nMemAvailable:   1900000000 kB\n',
  'etc/os-release': 'ID=ubuntu\nID_LIKE=debian\n',
  'etc/cufile.json': wekaCufile(ADDRESSES),
  'sys/class/net/ib0/type': '32\n',
  'sys/class/net/ib0/operstate': 'up\n',
  'sys/class/net/ib1/type': '32\n',
  'sys/class/net/ib1/operstate': 'up\n',
  'sys/class/net/eth0/type': '1\n',
  'sys/class/net/eth0/operstate': 'up\n',
  'cmd/ip.txt': [
    '1: lo    inet 127.0.0.1/8 scope host lo',
    '2: eth0    inet 192.168.4.20/24 scope global eth0',
    ...ADDRESSES.map((address, i) => `${3 + i}: ib${i}    inet ${address}/16 scope global ib${i}`),
    '',
  ].join('\n'),
  'cmd/df.txt': `Filesystem 1024-blocks Used Available Capacity Mounted on
/dev/nvme0n1p2 1843200000 100000000 1743200000 6% /
10.27.1.1/default 107374182400 7374182400 100000000000 7% /mnt/weka
`,
  'cmd/gdscheck.txt': oldGdscheck(),
  'cmd/nvidia-smi.txt': '81559\n81559\n',
  ...library('1.15.1'),
  'dev/nvidia0': '',
  'dev/nvidia1': '',
  'dev/nvidiactl': '',
  'dev/nvidia-fs0': '',
  'dev/infiniband/rdma_cm': '',
  'dev/infiniband/uverbs0': '',
  'mnt/weka/cache/x': '',
};

/** CUDA 13.0 as it is installed: on WekaFS no GPUDirect Storage, without an error. */
export const STOCK_13_0: Tree = {
  ...READY,
  'etc/cufile.json': STOCK,
  'cmd/gdscheck.txt': oldGdscheck('Unsupported', 'Enabled', 'Not configured'),
};

/** cuFile 1.16: broken on WekaFS. */
export const CUDA_13_1: Tree = {
  ...without(READY, CUDA, 'usr/local/cuda'),
  ...library('1.16.0', 'usr/local/cuda-13.1'),
  'cmd/gdscheck.txt': newGdscheck(),
};

/** CUDA 13.4 with DMA-BUF in place of nvidia_peermem and its peer-memory clients. */
export const DMA_BUF: Tree = {
  ...without(READY, CUDA, 'usr/local/cuda', 'sys/kernel/mm'),
  ...library('1.19.1', 'usr/local/cuda-13.4'),
  'proc/modules': 'nvidia_fs 344064 0 - Live 0x0 (OE)\nnvidia 103960576 103 nvidia_fs, Live 0x0 (OE)\n',
  'cmd/gdscheck.txt': newGdscheck(),
};

/** RHEL with driver and CUDA, but without the package nvidia-gds. */
export const RHEL_WITHOUT_GDS: Tree = {
  ...without(
    READY,
    'proc/driver/nvidia-fs',
    'sys/module/nvidia_fs',
    'dev/nvidia-fs0',
    'cmd/gdscheck.txt',
    'sys/kernel/mm',
  ),
  'proc/modules': 'nvidia 103960576 103 - Live 0x0 (OE)\n',
  'etc/os-release': 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n',
};

/** A pod without /dev/infiniband and without IPC_LOCK. */
export const CONTAINER: Tree = {
  ...without(READY, 'dev/infiniband', 'cmd'),
  'cmd/ip.txt': READY['cmd/ip.txt'] ?? '',
  'proc/self/environ': environ({ KUBERNETES_SERVICE_HOST: '10.96.0.1' }),
  'proc/self/status': 'Name:\tnode\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t00000000a80425fb\n',
  'proc/self/limits':
    'Limit                     Soft Limit           Hard Limit           Units     \nMax locked memory         8388608              8388608              bytes     \n',
};

/** A machine on which nothing of NVIDIA's is, with the default settings. */
export const NO_GPU: Tree = {
  'proc/modules': 'ext4 1000 1 - Live 0x0\n',
  'proc/self/mountinfo': ROOT,
  'proc/self/limits': READY['proc/self/limits'] ?? '',
  'proc/self/status': READY['proc/self/status'] ?? '',
  'proc/self/environ': 'HOME=/root\0',
  'cmd/ip.txt': '2: eth0    inet 192.168.4.20/24 scope global eth0\n',
  'cmd/df.txt': '/dev/nvme0n1p2 1843200000 100000000 1743200000 6% /\n',
  'sys/class/net/eth0/type': '1\n',
  'sys/class/net/eth0/operstate': 'up\n',
  'etc/os-release': 'ID=debian\n',
  'dev/null': '',
  'root/x': '',
};

/** Everything but the mount. */
export const NO_WEKA: Tree = { ...READY, 'proc/self/mountinfo': ROOT };

/** nvidia-fs before 2.28.4, and a buffer of 8 GiB. */
export const OLD_NVIDIA_FS: Tree = {
  ...READY,
  'proc/driver/nvidia-fs/version': 'version: 2.25\n',
  'sys/module/nvidia_fs/version': '2.25.7\n',
  'proc/self/environ': environ({ LMCACHE_CUFILE_BUFFER_SIZE: '8192' }),
};

/** One file of each kind that is not as it should be: too short, of another form, or of another kind altogether. */
export const MALFORMED: Readonly<Record<string, readonly Entry[]>> = Object.fromEntries(
  Object.keys(READY)
    .filter((path) => /^(proc|sys|etc|cmd)\//.test(path))
    .map((path) => [
      path,
      ['', '\0\u0001\ufffd', 'x'.repeat(100_000), '{"a": [', '\n\n : : \n=\n', { directory: true }],
    ]),
);

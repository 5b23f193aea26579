/** What this process may do: locked memory, devices, capabilities; and the configured buffer. */
import { type Finding, type Judge, onWeka, worst } from '../check.js';
import { settingOf } from '../cufile-settings.js';
import { isOlder } from '../version.js';

const MIB = 2 ** 20;
/** cuFile's, in KiB, where cufile.json doesn't set it. */
const STOCK_PINNED_KB = 33_554_432;
/** Older ones corrupt RDMA descriptors for registered buffers from {@link LARGE_MIB} up. */
const FIXED_NVIDIA_FS = '2.28.4';
const LARGE_MIB = 4096;

export const judgeMemlock: Judge = ({ process: { memlock, ipcLock }, config }) => {
  const where = '/proc/self/limits, /proc/self/status';
  if (memlock === Infinity) return { status: 'ok', seen: 'unlimited', where };
  if (ipcLock === true) return { status: 'ok', seen: 'limited, but CAP_IPC_LOCK lifts the limit', where };
  if (memlock === undefined) return { status: 'unknown', seen: 'not told', where };
  const seen = `${(memlock / MIB).toFixed(0)} MiB for this process`;
  const buffer = config?.bufferMiB ?? 0;
  if (memlock >= buffer * MIB) return { status: 'ok', seen: `${seen}, no less than the buffer’s ${buffer} MiB`, where };
  const fix =
    'ulimit -l unlimited\n# systemd: LimitMEMLOCK=infinity; Docker: --ulimit memlock=-1, or --cap-add IPC_LOCK';
  return { status: 'fail', seen: `${seen}, less than the buffer’s ${buffer} MiB`, where, fix };
};

export const judgeDevices: Judge = (facts) => {
  const { devices, container, ipcLock } = facts.process;
  const where = container === undefined ? '/dev' : `/dev; a container (${container})`;
  if (devices === undefined) return { status: 'unknown', seen: '/dev cannot be listed', where };
  const has = (pattern: RegExp) => devices.some((name) => pattern.test(name));
  const findings: Finding[] = [{ status: 'ok', seen: 'GPU, nvidia-fs and InfiniBand devices are there', where }];
  const inContainer = container !== undefined;
  const run = 'docker run --gpus all -e NVIDIA_GDS=enabled --device /dev/infiniband --cap-add IPC_LOCK';
  const absent = (names: string, status: 'fail' | 'warn') => {
    const fix = inContainer ? run : '# the checks driver, nvidia_fs and rdma say what makes them';
    findings.push({ status, seen: `not there: ${names}`, where, fix });
  };
  if (!has(/^nvidia\d+$/) || !has(/^nvidiactl$/)) absent('/dev/nvidia0, /dev/nvidiactl', 'fail');
  if (!has(/^nvidia-fs\d*$/)) absent('/dev/nvidia-fs*', 'fail');
  // RDMA is WekaFS's way to the GPU; a local disk needs none.
  if (!has(/^infiniband\/rdma_cm$/) || !has(/^infiniband\/uverbs\d+$/)) {
    absent('/dev/infiniband/{rdma_cm,uverbs*}', onWeka(facts));
  }
  if (inContainer && facts.nvidiaGds !== 'enabled' && findings.length > 1) {
    findings.push({ status: 'warn', seen: 'NVIDIA_GDS is not "enabled"', where, fix: run });
  }
  if (inContainer && ipcLock === false) {
    const fix = `${run}\n# Kubernetes: securityContext.capabilities.add: [IPC_LOCK]`;
    findings.push({ status: onWeka(facts), seen: 'no CAP_IPC_LOCK', where, fix });
  }
  return worst(findings);
};

export const judgeBuffer: Judge = (facts, goal) => {
  const buffer = facts.config?.bufferMiB;
  if (buffer === undefined) return { status: 'unknown', seen: 'the settings are wrong', where: 'gds_buffer_size' };
  const smaller = (most: number) => `export LMCACHE_GDS_BUFFER_SIZE=${Math.max(1, Math.floor(most))}`;
  const findings: Finding[] = [{ status: 'ok', seen: `${buffer} MiB`, where: 'gds_buffer_size' }];
  const { memoryAvailable } = facts.process;
  if (goal === 'host') {
    if (memoryAvailable !== undefined && buffer * MIB > memoryAvailable) {
      const seen = `${buffer} MiB, but ${(memoryAvailable / MIB).toFixed(0)} MiB of host memory are available`;
      findings.push({ status: 'warn', seen, where: '/proc/meminfo', fix: smaller(memoryAvailable / MIB / 2) });
    }
  }
  // Without a driver the GPU's side of it is not worth a word.
  if (goal === 'host' && facts.kernel.driver === undefined) return worst(findings);
  const { json, path } = facts.cufileJson;
  const set = settingOf(json, ['properties', 'max_device_pinned_mem_size_kb']);
  const pinned = (typeof set === 'number' ? set : STOCK_PINNED_KB) / 1024;
  if (buffer > pinned) {
    const seen = `${buffer} MiB, but max_device_pinned_mem_size_kb allows ${pinned.toFixed(0)} MiB`;
    findings.push({ status: 'fail', seen, where: path, fix: smaller(pinned) });
  }
  const least = facts.gpuMiB === undefined ? undefined : Math.min(...facts.gpuMiB);
  if (least === undefined) findings.push({ status: 'ok', seen: 'GPU memory not told', where: 'nvidia-smi' });
  else if (buffer > least / 2) {
    const seen = `${buffer} MiB of a GPU’s ${least} MiB`;
    findings.push({ status: buffer >= least ? 'fail' : 'warn', seen, where: 'nvidia-smi', fix: smaller(least / 4) });
  }
  const { nvidiaFs, modules } = facts.kernel;
  if (
    buffer >= LARGE_MIB &&
    modules?.has('nvidia_fs') &&
    (nvidiaFs === undefined || isOlder(nvidiaFs, FIXED_NVIDIA_FS))
  ) {
    // The kernel's file may tell two parts only, and 2.28 may be 2.28.4.
    const which =
      nvidiaFs === undefined || nvidiaFs === '2.28' ? `may be older than ${FIXED_NVIDIA_FS}` : `is ${nvidiaFs}`;
    const seen = `${buffer} MiB, and nvidia-fs ${which}: before ${FIXED_NVIDIA_FS} a buffer of 4 GiB or more corrupts RDMA descriptors`;
    const fix = `${smaller(LARGE_MIB - 1)}\n# or update nvidia-fs`;
    findings.push({ status: 'warn', seen, where: '/proc/driver/nvidia-fs/version', fix });
  }
  return worst(findings);
};

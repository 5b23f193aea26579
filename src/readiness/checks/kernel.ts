/** Driver and kernel modules. */
import { type Finding, type Judge, onWeka } from '../check.js';
import type { NodeFacts } from '../facts.js';
import { installPackage } from '../packages.js';
import { usesDmaBuf } from '../sources/gdscheck.js';
import { DRIVER, MODULES, NVIDIA_FS, PEERS } from '../sources/kernel.js';
import { isAbsent, reasonOf, valueOf } from '../system.js';
import { isOlder } from '../version.js';

/** NVIDIA's least driver for GPUDirect Storage. */
const LEAST_DRIVER = '450.80.02';
/** From here on nvidia-fs works with the open kernel modules only. */
const NEEDS_OPEN = '2.17.5';
/** From this driver on nvidia-fs must be built anew. */
const NEEDS_REBUILD = '580.82.05';

const INSTALL_DRIVER = 'sudo apt-get install nvidia-open\n# RHEL: sudo dnf install nvidia-open; then reboot';

export const judgeDriver: Judge = ({ kernel: { driverLine, driver, open, modules } }) => {
  const where = DRIVER;
  if ('errno' in driverLine) {
    if (!isAbsent(driverLine)) return { status: 'unknown', seen: reasonOf(driverLine), where };
    if (modules?.has('nvidia')) {
      const seen = 'the module nvidia is loaded, but its version file is not there';
      return { status: 'unknown', seen, where: `${MODULES}, ${where}`, fix: 'nvidia-smi' };
    }
    return { status: 'fail', seen: 'no NVIDIA driver is loaded', where, fix: INSTALL_DRIVER };
  }
  if (driver === undefined) {
    return {
      status: 'unknown',
      seen: `a line of another form: ${JSON.stringify(driverLine.value.slice(0, 60))}`,
      where,
    };
  }
  const seen = `${driver}, ${open ? 'open' : 'proprietary'} kernel modules`;
  if (!isOlder(driver, LEAST_DRIVER)) return { status: 'ok', seen, where };
  return { status: 'fail', seen: `${seen}; older than ${LEAST_DRIVER}`, where, fix: INSTALL_DRIVER };
};

export const judgeNvidiaFs: Judge = (facts) => {
  const { modules, nvidiaFs, driver, open } = facts.kernel;
  if (modules === undefined && (nvidiaFs !== undefined || !isAbsent(facts.kernel.driverLine))) return noModules();
  if (modules?.has('nvidia_fs') !== true) {
    const rebuild =
      driver !== undefined && !isOlder(driver, NEEDS_REBUILD)
        ? `\n# from driver ${NEEDS_REBUILD} on nvidia-fs must be built anew: reinstall its package`
        : '';
    return {
      status: 'fail',
      seen: 'the module nvidia_fs is not loaded',
      where: modules === undefined ? NVIDIA_FS : MODULES,
      fix: `${installPackage('nvidia-gds', facts)}\nsudo modprobe nvidia_fs\n# both on the host, not in a container${rebuild}`,
    };
  }
  const where = `${MODULES}, ${NVIDIA_FS}`;
  const seen = `loaded, version ${nvidiaFs ?? 'not told'}`;
  if (nvidiaFs === undefined || driver === undefined || open || isOlder(nvidiaFs, NEEDS_OPEN)) {
    return { status: 'ok', seen, where };
  }
  const mismatch = `${seen}; from ${NEEDS_OPEN} on it needs the open kernel modules, these are proprietary`;
  return { status: 'fail', seen: mismatch, where, fix: INSTALL_DRIVER };
};

export const judgePeermem: Judge = (facts) => {
  const { modules } = facts.kernel;
  if (modules === undefined) return noModules();
  if (modules.has('nvidia_peermem')) return { status: 'ok', seen: 'loaded', where: MODULES };
  const fix = 'sudo modprobe nvidia_peermem';
  const seen = 'the module nvidia_peermem is not loaded';
  const gdscheck = valueOf(facts.gdscheck);
  if (gdscheck !== undefined && usesDmaBuf(gdscheck)) {
    return { status: 'ok', seen: `${seen}; DMA-BUF is in its place`, where: `${MODULES}, ${gdscheck.program}` };
  }
  if (mayUseDmaBuf(facts)) {
    return { status: 'warn', seen: `${seen}; DMA-BUF may be in its place: gdscheck -p tells`, where: MODULES, fix };
  }
  return { status: onWeka(facts), seen, where: MODULES, fix };
};

export const judgePeers: Judge = (facts) => {
  const { peers } = facts.kernel;
  const where = PEERS;
  const names = valueOf(peers) ?? [];
  const known = names.filter((name) => name === 'nvidia-fs' || name === 'nv_mem');
  if (known.length > 0) return { status: 'ok', seen: known.join(', '), where };
  if (!isAbsent(peers) && 'errno' in peers) return { status: 'unknown', seen: reasonOf(peers), where };
  const seen = names.length > 0 ? `only ${names.join(', ')}` : 'no peer-memory client is registered';
  const gdscheck = valueOf(facts.gdscheck);
  if (gdscheck !== undefined && usesDmaBuf(gdscheck))
    return { status: 'ok', seen: `${seen}; DMA-BUF needs none`, where };
  if (mayUseDmaBuf(facts)) return { status: 'unknown', seen: `${seen}; DMA-BUF would need none`, where };
  return { status: onWeka(facts), seen, where, fix: 'sudo modprobe nvidia_peermem && ls /sys/kernel/mm/memory_peers' };
};

/** cuFile from 1.16 on, with the open kernel modules, can do without peer-memory modules. */
function mayUseDmaBuf({ kernel, cufile }: NodeFacts): boolean {
  const version = valueOf(cufile)?.version;
  return kernel.open && version !== undefined && !isOlder(version, '1.16');
}

function noModules(): Finding {
  return { status: 'unknown', seen: 'the list of modules cannot be read', where: MODULES };
}

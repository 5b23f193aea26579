/** The cache's directories: their mounts, who may write, and room. */
import { type Finding, type Goal, type Judge, worst } from '../check.js';
import type { NodeFacts, PathFacts } from '../facts.js';
import { isAbsent, reasonOf } from '../system.js';
import { WEKAFS } from '../weka-mounts.js';
import { optionWarnings } from '../weka-options.js';

/** Filesystems for which cuFile has a path of its own; nothing else goes by GPUDirect Storage. */
const CUFILE_KNOWS: readonly string[] = [
  'ext4',
  'xfs',
  'lustre',
  'nfs',
  'nfs4',
  'gpfs',
  'beegfs',
  'scatefs',
  'virtiofs',
];
const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** Less than this part of a filesystem left is worth a word. */
const LITTLE = 0.01;

export const judgeMount: Judge = (facts, goal) => perPath(facts, (path) => mountFinding(facts, path, goal));

function mountFinding(facts: NodeFacts, { path, mount, answers, directory, existing }: PathFacts, goal: Goal): Finding {
  const where = facts.mounts.where ?? '/proc/self/mountinfo';
  if (!answers) {
    const fix = `sudo umount --lazy ${mount.path} && sudo mount ${mount.path}`;
    return { status: 'fail', seen: `${mount.path} (${mount.type}) does not answer`, where, fix };
  }
  if (!directory)
    return {
      status: 'fail',
      seen: `${existing} is no directory`,
      where: existing,
      fix: 'export LMCACHE_WEKA_PATH=DIRECTORY',
    };
  if (mount.type === 'unknown') return { status: 'unknown', seen: `${path}: its mount is not known`, where };
  const at = `${path} is on ${mount.path}, ${mount.type}`;
  const seen = mount.type === WEKAFS ? `${at} (${mount.source})` : at;
  const warnings = optionWarnings(mount.options);
  if (warnings.length > 0) {
    const status = mount.options.includes('ro') ? 'fail' : 'warn';
    const fix = `sudo mount -o remount,rw,dentry_max_age_negative=0 ${mount.path}`;
    return { status, seen: `${seen}; ${warnings.join('; ')}`, where, fix };
  }
  if (mount.type === WEKAFS) return { status: 'ok', seen, where };
  const weka = facts.mounts.all.filter(({ type }) => type === WEKAFS).map((one) => one.path);
  const elsewhere = weka.length > 0 ? `; WekaFS is mounted on ${weka.join(', ')}` : '';
  const fix =
    weka.length > 0
      ? `export LMCACHE_WEKA_PATH=${weka[0] ?? ''}/kv-cache`
      : 'sudo mount -t wekafs BACKEND/FILESYSTEM /mnt/weka\nexport LMCACHE_WEKA_PATH=/mnt/weka/kv-cache';
  if (goal === 'gds') {
    const knows = CUFILE_KNOWS.includes(mount.type);
    const what = knows ? 'cuFile may take it; nothing here was tried on it' : 'cuFile does not take it';
    return { status: knows ? 'warn' : 'fail', seen: `${seen}, not WekaFS: ${what}${elsewhere}`, where, fix };
  }
  if (weka.length > 0) return { status: 'warn', seen: `${seen}${elsewhere}`, where, fix };
  return { status: 'ok', seen, where };
}

export const judgePermissions: Judge = (facts) =>
  perPath(facts, ({ path, existing, exists, writable, answers }) => {
    const where = existing;
    if (!answers) return { status: 'unknown', seen: `${path} does not answer`, where };
    if ('value' in writable) {
      return { status: 'ok', seen: exists ? `${path} can be written` : `${path} will be made in ${existing}`, where };
    }
    if (writable.errno === 'UNKNOWN') return { status: 'unknown', seen: reasonOf(writable), where };
    const fix = exists ? `sudo chown "$(id -un)" ${path}` : `sudo mkdir -p ${path} && sudo chown "$(id -un)" ${path}`;
    return { status: 'fail', seen: `${existing} cannot be written: ${reasonOf(writable)}`, where, fix };
  });

export const judgeSpace: Judge = (facts) =>
  perPath(facts, ({ path, space, answers, mount }) => {
    const where = `statfs ${path}`;
    if (!answers || 'errno' in space) {
      return {
        status: 'unknown',
        seen: answers && 'errno' in space && !isAbsent(space) ? reasonOf(space) : 'not told',
        where,
      };
    }
    const { total, available } = space.value;
    const quota = mount.type === WEKAFS ? '; a directory quota may end it sooner' : '';
    const seen = `${gib(available)} of ${gib(total)} free on ${mount.path}${quota}`;
    const fix = `kv-offload ls --base ${path} --long | sort -n | tail\n# nothing is ever deleted by itself`;
    if (available < MIB) return { status: 'fail', seen, where, fix };
    return available < LITTLE * total || available < GIB
      ? { status: 'warn', seen, where, fix }
      : { status: 'ok', seen, where };
  });

function perPath({ paths }: NodeFacts, judge: (path: PathFacts) => Finding): Finding {
  if (paths.length > 0) return worst(paths.map(judge));
  return { status: 'unknown', seen: 'no cache directory is known, since the settings are wrong', where: 'gds_path' };
}

function gib(bytes: number): string {
  const [size, unit] = bytes >= 1024 * GIB ? [bytes / GIB / 1024, 'TiB'] : [bytes / GIB, 'GiB'];
  return `${size.toFixed(size < 10 ? 1 : 0)} ${unit}`;
}

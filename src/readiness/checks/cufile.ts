/** The cuFile library and its configuration. */
import { type Finding, type Judge, onWeka, worst } from '../check.js';
import { COMPAT, RDMA_LIST, WEKA_SETTINGS, settingOf } from '../cufile-settings.js';
import { cudaOf } from '../cuda-versions.js';
import { installPackage } from '../packages.js';
import { isAbsent, reasonOf } from '../system.js';

/** Fixed in the one of CUDA 13.3. */
const BROKEN = '1.16';
const BETWEEN = '1.17';

export const judgeCufile: Judge = (facts) => {
  const { cufile, gpu } = facts;
  if ('errno' in cufile) {
    const where = gpu.libcufilePath ?? 'LD_LIBRARY_PATH, ldconfig -p, /usr/local/cuda*/lib64';
    if (!isAbsent(cufile)) return { status: 'unknown', seen: reasonOf(cufile), where };
    const install = installPackage('libcufile', facts);
    const own = '# or, where libcufile.so.0 is elsewhere, such as in a Python environment:\nexport LD_LIBRARY_PATH=DIR';
    return { status: 'fail', seen: 'libcufile.so.0 is not found', where, fix: `${install}\n${own}` };
  }
  const { path: where, version } = cufile.value;
  if (version === undefined) return { status: 'unknown', seen: 'found; its name tells no version', where };
  const cuda = cudaOf(version);
  const seen = `${version}${cuda === undefined ? '' : ` (CUDA ${cuda})`}`;
  const minor = version.split('.', 2).join('.');
  const fix = 'export LD_LIBRARY_PATH=/usr/local/cuda-13.0/lib64\n# or update to CUDA 13.3 or later';
  if (minor === BROKEN) {
    return { status: onWeka(facts), seen: `${seen}: its I/O on WekaFS fails with EBADF`, where, fix };
  }
  if (minor === BETWEEN) {
    return {
      status: 'warn',
      seen: `${seen}: 1.16 is broken on WekaFS until CUDA 13.3; not known of this one`,
      where,
      fix,
    };
  }
  return { status: 'ok', seen, where };
};

const WRITE_ONE = 'sudo kv-offload cufile-json --out /etc/cufile.json';

export const judgeCufileJson: Judge = (facts) => {
  const { path, namedBy, text, problem, absent, json } = facts.cufileJson;
  const where = path;
  const fix = path === '/etc/cufile.json' ? WRITE_ONE : `kv-offload cufile-json --out ${path}`;
  if (text === undefined) {
    if (!absent) return { status: 'unknown', seen: problem ?? 'cannot be read', where };
    const seen = `not there (named by ${namedBy}): cuFile’s own defaults turn GPUDirect Storage off on WekaFS`;
    return { status: onWeka(facts), seen, where, fix };
  }
  // A file that doesn't parse is cuFile's to refuse, on any filesystem.
  if (problem !== undefined)
    return { status: 'fail', seen: problem, where, fix: `sudo mv ${path} ${path}.broken\n${fix}` };
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    return { status: 'fail', seen: 'it is no JSON object', where, fix };
  }
  const findings = [rdmaList(json, onWeka(facts)), ...settings(json, onWeka(facts))].map((one) => ({ ...one, where }));
  const { status, seen } = worst(findings);
  if (status !== 'ok') return { status, seen, where, fix };
  const compat = settingOf(json, COMPAT) === false ? 'off' : 'on: cuFile may still fall back, file by file';
  return { status, seen: `has what WekaFS needs; compatibility mode ${compat}`, where };
};

type Part = Omit<Finding, 'where' | 'fix'>;

function rdmaList(json: object, off: 'fail' | 'warn'): Part {
  const list = settingOf(json, RDMA_LIST.split('.'));
  if (Array.isArray(list) && list.length > 0) return { status: 'ok', seen: '' };
  const is =
    list === undefined ? 'is not set' : Array.isArray(list) ? 'is empty' : `is ${JSON.stringify(list)}, no list`;
  return { status: off, seen: `${RDMA_LIST} ${is}: no GPUDirect Storage on WekaFS, without an error` };
}

function settings(json: object, off: 'fail' | 'warn'): Part[] {
  return WEKA_SETTINGS.map(({ path, wanted, otherwise, why }): Part => {
    const present = settingOf(json, path);
    const target = wanted(present);
    if (target === undefined) return { status: 'ok', seen: '' };
    const name = path.join('.');
    const is = present === undefined ? 'is not set' : `is ${JSON.stringify(present)}`;
    // What cuFile takes for its default there is not known but for the stock file, which sets it.
    const unset = present === undefined && name === 'properties.gds_rdma_write_support';
    const status = otherwise === 'off' && !unset ? off : 'warn';
    return { status, seen: `${name} ${is}, not ${JSON.stringify(target)}: ${why}` };
  });
}

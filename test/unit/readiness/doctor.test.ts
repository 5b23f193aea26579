import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  type Check,
  type CheckId,
  type Config,
  type DoctorOptions,
  type DoctorReport,
  runDoctor,
} from '../../../src/index.js';
import { reportText } from '../../../src/cli/report-text.js';
import type { Goal } from '../../../src/readiness/check.js';
import { judgeAll } from '../../../src/readiness/checks/index.js';
import { examine as runOn } from '../../../src/readiness/doctor.js';
import { WEKA_SETTINGS } from '../../../src/readiness/cufile-settings.js';
import { gatherFacts } from '../../../src/readiness/facts.js';
import { goalOf } from '../../../src/readiness/goal.js';
import { gpuSettings } from '../../../src/readiness/gpu-settings.js';
import { recordedTree } from '../../../src/readiness/recorded-tree.js';
import type { System } from '../../../src/readiness/system.js';
import { wekaMountsOf } from '../../../src/readiness/weka-mounts.js';
import { STOCK, wekaCufile } from './cufile-files.js';
import {
  CONTAINER,
  CUDA_13_1,
  DMA_BUF,
  MALFORMED,
  NO_GPU,
  NO_WEKA,
  OLD_NVIDIA_FS,
  READY,
  RHEL_WITHOUT_GDS,
  STOCK_13_0,
  environ,
  library,
  newGdscheck,
  oldGdscheck,
  without,
} from './nodes.js';
import { type Tree, writeTree } from './trees.js';

const IDS: readonly CheckId[] = [
  'config',
  'mount',
  'permissions',
  'space',
  'driver',
  'nvidia_fs',
  'nvidia_peermem',
  'peer_memory',
  'cufile',
  'cufile_json',
  'rdma',
  'gdscheck',
  'devices',
  'memlock',
  'buffer',
  'live',
];

const examine = (tree: Tree, options: DoctorOptions = {}): Promise<DoctorReport> =>
  runDoctor({ root: writeTree(tree), ...options });
const forGds = (tree: Tree) => examine(tree, { requireGds: true });

function check(report: DoctorReport, id: CheckId): Check {
  return report.checks.find((one) => one.id === id) ?? expect.fail(`no check ${id}`);
}

/** Ids by status, but for `ok`. */
function notOk({ checks }: DoctorReport): Record<string, CheckId[]> {
  const found: Record<string, CheckId[]> = {};
  for (const { id, status } of checks) if (status !== 'ok') (found[status] ??= []).push(id);
  return found;
}

/** Not told by any recorded tree. */
const UNTOLD: CheckId[] = ['permissions', 'live'];

describe('a report', () => {
  it('has every check once, each with what was seen, where and why, and a fix where it fails', async () => {
    for (const tree of [READY, STOCK_13_0, NO_GPU, CONTAINER]) {
      const { checks } = await forGds(tree);
      expect(checks.map(({ id }) => id)).toEqual(IDS);
      for (const { id, status, seen, where, why, fix } of checks) {
        expect({ id, said: [seen, where, why].every((text) => text.length > 0) }).toEqual({ id, said: true });
        if (status === 'fail') expect({ id, fix }).toEqual({ id, fix: expect.stringMatching(/\S/) as string });
        if (status === 'ok') expect({ id, fix }).toEqual({ id, fix: null });
      }
    }
  });

  it('fits 100 columns, coloured or not', async () => {
    for (const tree of [
      READY,
      STOCK_13_0,
      NO_GPU,
      CONTAINER,
      { ...READY, 'proc/self/environ': environ({ LMCACHE_WEKA_PATH: `/${'x'.repeat(250)}` }) },
    ]) {
      for (const requireGds of [true, false]) {
        const report = await examine(tree, { requireGds });
        const text = reportText(report, false);
        expect(text.split('\n').filter((line) => line.length > 100)).toEqual([]);
        for (const { id } of report.checks) expect(text).toMatch(new RegExp(`^  (ok|warn|fail|unknown) +${id} `, 'm'));
        expect(text).not.toContain('\u001b');
        expect(reportText(report, true).replace(/\u001b\[\d+m/g, '')).toBe(text);
      }
    }
  });

  it('refuses a root that is no directory', async () => {
    await expect(runDoctor({ root: '/none/such' })).rejects.toMatchObject({ code: 'KVO_PATH_UNUSABLE' });
  });
});

describe('a node that is ready', () => {
  it('is: all that a recorded tree can tell is ok', async () => {
    const report = await forGds(READY);
    expect(report).toMatchObject({ ready: true, transport: 'gds', gds: { usable: 'yes' } });
    expect(report.reason).toBe('GPUDirect Storage ↔ /mnt/weka/cache (wekafs)');
    expect(notOk(report)).toEqual({ unknown: UNTOLD });
    expect(report.checks.every(({ needed }) => needed)).toBe(true);
  });

  it('is with DMA-BUF in place of nvidia_peermem, where gdscheck or nothing says otherwise', async () => {
    expect(notOk(await forGds(DMA_BUF))).toEqual({ unknown: UNTOLD });
    const untold = await forGds(without(DMA_BUF, 'cmd/gdscheck.txt'));
    expect(untold.ready).toBe(true);
    expect(check(untold, 'nvidia_peermem')).toMatchObject({
      status: 'warn',
      seen: expect.stringContaining('DMA-BUF') as string,
    });
    expect(check(untold, 'peer_memory').status).toBe('unknown');
  });

  it('is not without nvidia_peermem where DMA-BUF can’t be in its place', async () => {
    const classic = {
      ...DMA_BUF,
      ...without(library('1.15.1', 'usr/local/cuda-13.4'), 'usr/local/cuda/'),
      'cmd/gdscheck.txt': oldGdscheck('Supported', 'Disabled'),
    };
    const { checks } = await forGds(
      without(classic, 'usr/local/cuda-13.4/targets/x86_64-linux/lib/libcufile.so.1.19.1'),
    );
    const failing = checks.filter(({ status }) => status === 'fail').map(({ id }) => id);
    expect(failing).toEqual(['nvidia_peermem', 'peer_memory', 'gdscheck']);
  });
});

describe('nodes on which GPUDirect Storage is off without an error', () => {
  it('CUDA 13.0’s stock cufile.json on WekaFS: both settings are named', async () => {
    const report = await forGds(STOCK_13_0);
    expect(report).toMatchObject({ ready: false, gds: { usable: 'no' } });
    expect(notOk(report)['fail']).toEqual(['cufile_json', 'rdma', 'gdscheck']);
    const { seen, where, fix } = check(report, 'cufile_json');
    expect(seen).toContain('properties.rdma_dev_addr_list is empty');
    expect(seen).toContain('fs.weka.rdma_write_support is false');
    expect(where).toBe('/etc/cufile.json');
    expect(fix).toBe('sudo kv-offload cufile-json --out /etc/cufile.json');
    expect(check(report, 'rdma').seen).toContain('no address of this node is in properties.rdma_dev_addr_list');
  });

  it('CUDA 13.1’s cuFile 1.16', async () => {
    const report = await forGds(CUDA_13_1);
    expect(notOk(report)['fail']).toEqual(['cufile']);
    expect(check(report, 'cufile').seen).toBe('1.16.0 (CUDA 13.1): its I/O on WekaFS fails with EBADF');
    expect(report.reason).toMatch(/^cufile: 1\.16\.0/);
  });

  it('gdscheck of either format that knows compatibility mode only', async () => {
    const status = async (text: string) =>
      check(await forGds({ ...READY, 'cmd/gdscheck.txt': text }), 'gdscheck').status;
    expect(await status(newGdscheck('compat'))).toBe('fail');
    expect(await status(newGdscheck('dmabuf, compat'))).toBe('ok');
    expect(await status(newGdscheck('nvfs, compat', 'Disabled'))).toBe('fail');
    expect(await status(oldGdscheck('Unsupported'))).toBe('fail');
    expect(await status(oldGdscheck('Supported', 'Disabled'))).toBe('fail');
    expect(await status(oldGdscheck('Supported', 'Enabled', 'Not configured'))).toBe('fail');
    expect(await status(oldGdscheck().replace('Loaded (libcufile_rdma.so)', 'Not Loaded (libcufile_rdma.so)'))).toBe(
      'fail',
    );
    expect(await status(oldGdscheck().replace('IOMMU: disabled', 'IOMMU: Pass-through or enabled'))).toBe('warn');
    expect(await status(oldGdscheck('a new word'))).toBe('unknown');
    expect(await status('nothing of the kind\n')).toBe('unknown');
  });
});

describe('nodes that lack something', () => {
  it('RHEL without nvidia-gds: the package of its CUDA is in the fix', async () => {
    const report = await forGds(RHEL_WITHOUT_GDS);
    expect(notOk(report)['fail']).toEqual(['nvidia_fs', 'nvidia_peermem', 'peer_memory', 'devices']);
    expect(check(report, 'nvidia_fs').fix).toContain('sudo dnf install nvidia-gds-13-0\nsudo modprobe nvidia_fs');
    expect(check(report, 'gdscheck')).toMatchObject({ status: 'unknown', seen: 'not installed' });
    const older = { ...without(RHEL_WITHOUT_GDS, 'usr/local'), ...library('1.14.0', 'usr/local/cuda-12.9') };
    expect(check(await forGds(older), 'nvidia_fs').fix).toContain('nvidia-gds-12-9');
  });

  it('a container without /dev/infiniband and IPC_LOCK', async () => {
    const report = await forGds(CONTAINER);
    expect(notOk(report)['fail']).toEqual(['devices', 'memlock']);
    const devices = check(report, 'devices');
    expect(devices.seen).toContain('/dev/infiniband/{rdma_cm,uverbs*}');
    expect(devices.seen).toContain('no CAP_IPC_LOCK');
    expect(devices.fix).toContain('--device /dev/infiniband --cap-add IPC_LOCK');
    expect(devices.fix).toContain('NVIDIA_GDS=enabled');
    expect(check(report, 'memlock').seen).toBe('8 MiB for this process, less than the buffer’s 2048 MiB');
  });

  it('a machine without a GPU: not for GPUDirect Storage, and ready all the same with its default settings', async () => {
    const [gds, plain] = await Promise.all([forGds(NO_GPU), examine(NO_GPU)]);
    expect(gds.ready).toBe(false);
    expect(notOk(gds)['fail']).toEqual(
      ['driver', 'nvidia_fs', 'cufile', 'devices']
        .concat([])
        .sort((a, b) => IDS.indexOf(a as CheckId) - IDS.indexOf(b as CheckId)),
    );
    expect(plain).toMatchObject({ ready: true, transport: 'host', gds: { usable: 'no' } });
    expect(plain.reason).toBe('host memory ↔ /root/.cache/kv-offload (ext4)');
    expect(plain.checks.filter(({ needed }) => needed).map(({ id }) => id)).toEqual([
      'config',
      'mount',
      'permissions',
      'space',
      'live',
    ]);
    expect(plain.gds.reason).toMatch(/^driver: no NVIDIA driver is loaded \(and 3 more/);
  });

  it('a node without WEKA: the cache is on another filesystem', async () => {
    const report = await forGds(NO_WEKA);
    expect(check(report, 'mount')).toMatchObject({
      status: 'warn',
      seen: '/mnt/weka/cache is on /, ext4, not WekaFS: cuFile may take it; nothing here was tried on it',
      where: '/proc/self/mountinfo',
    });
    expect(report.gds).toEqual({ usable: 'unknown', reason: 'the cache is not on WekaFS' });
    const tmpfs = { ...READY, 'proc/self/mountinfo': '27 1 0:3 / / rw - overlay overlay rw\n' };
    expect(await forGds(tmpfs)).toMatchObject({ ready: false, gds: { usable: 'no' } });
  });

  it('nvidia-fs before 2.28.4 with a buffer of 8 GiB: a warning', async () => {
    const report = await forGds(OLD_NVIDIA_FS);
    expect(notOk(report)).toEqual({ warn: ['buffer'], unknown: UNTOLD });
    expect(check(report, 'buffer').seen).toContain('8192 MiB, and nvidia-fs is 2.25.7: before 2.28.4');
    const buffer = async (fs: string, mib: string) => {
      const settings = { 'proc/self/environ': environ({ LMCACHE_CUFILE_BUFFER_SIZE: mib }) };
      const tree = { ...without(READY, 'sys/module'), ...settings, 'proc/driver/nvidia-fs/version': fs };
      return check(await forGds(tree), 'buffer').status;
    };
    expect(await buffer('version: 2.25\n', '4095')).toBe('ok');
    expect(await buffer('version: 2.25\n', '4096')).toBe('warn');
    expect(await buffer('version: 2.28\n', '4096')).toBe('warn');
    expect(await buffer('version: 2.29\n', '4096')).toBe('ok');
  });
});

describe('each check', () => {
  const status = async (id: CheckId, more: Tree, from: Tree = READY) =>
    check(await forGds({ ...from, ...more }), id).status;

  it('driver: too old, of another form, not to be told', async () => {
    const driver = (text: string) => status('driver', { 'proc/driver/nvidia/version': text });
    expect(await driver('NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Thu Feb\n')).toBe('ok');
    expect(await driver('NVRM version: NVIDIA UNIX x86_64 Kernel Module  440.33.01  Thu\n')).toBe('fail');
    expect(await driver('NVRM version: something else\n')).toBe('unknown');
    const gone = check(await forGds(without(READY, 'proc/driver/nvidia/version')), 'driver');
    expect(gone.status).toBe('unknown');
  });

  it('nvidia_fs: from 2.17.5 on it needs the open modules', async () => {
    const proprietary = {
      'proc/driver/nvidia/version': 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Thu\n',
    };
    expect(await status('nvidia_fs', proprietary)).toBe('fail');
    const old = { 'proc/driver/nvidia-fs/version': 'version: 2.17\n' };
    expect(check(await forGds({ ...without(READY, 'sys/module'), ...proprietary, ...old }), 'nvidia_fs').status).toBe(
      'ok',
    );
  });

  it('nvidia_fs: a name that only begins so is another module', async () => {
    expect(await status('nvidia_fs', { 'proc/modules': 'nvidia_fs2 1 0 - Live 0x0\nnvidia-fs 1 0\n' })).toBe('fail');
  });

  it('cufile: of no version, between the broken and the mended one', async () => {
    const cufile = (version: string) =>
      forGds({ ...without(READY, 'usr/local'), ...library(version, 'usr/local/cuda-13.9') });
    expect(check(await cufile('1.17.0'), 'cufile').status).toBe('warn');
    expect(check(await cufile('1.18.0'), 'cufile').status).toBe('ok');
    expect(check(await cufile('0x'), 'cufile').status).toBe('unknown');
    expect(await cufile('0x')).toMatchObject({ ready: false, reason: expect.stringMatching(/^cufile: /) as string });
  });

  it('cufile_json: absent, empty, broken, no object, of wrong types', async () => {
    const json = (text: string) => forGds({ ...READY, 'etc/cufile.json': text });
    expect(check(await forGds(without(READY, 'etc/cufile.json')), 'cufile_json')).toMatchObject({
      status: 'fail',
      seen: expect.stringContaining('not there') as string,
    });
    expect(check(await json(''), 'cufile_json')).toMatchObject({
      status: 'fail',
      seen: '/etc/cufile.json:1:1: the file is empty; expected a JSON object',
    });
    expect(check(await json('{\n"a": 1,\n}'), 'cufile_json').seen).toContain('/etc/cufile.json:3:1');
    expect(check(await json('[]'), 'cufile_json').status).toBe('fail');
    const text = wekaCufile(['10.27.1.11', '10.27.1.12']);
    const wrong = check(
      await json(text.replace('"rdma_write_support" : true', '"rdma_write_support" : "true"')),
      'cufile_json',
    );
    expect(wrong).toMatchObject({ status: 'fail', seen: expect.stringContaining('is "true", not true') as string });
    expect(check(await json(text.replace('"max_io_threads" : 0', '"max_io_threads" : 4')), 'cufile_json').status).toBe(
      'warn',
    );
  });

  it('cufile_json: the one that CUFILE_ENV_PATH_JSON names', async () => {
    const named = {
      'proc/self/environ': environ({ CUFILE_ENV_PATH_JSON: '/opt/own.json' }),
      'opt/own.json': { to: '../etc/real.json' },
      'etc/real.json': wekaCufile(['10.27.1.11', '10.27.1.12']),
      'etc/cufile.json': STOCK,
    };
    expect(check(await forGds({ ...READY, ...named }), 'cufile_json')).toMatchObject({
      status: 'ok',
      where: '/opt/own.json',
    });
  });

  it('devices: those of InfiniBand are WekaFS’s concern, those of NVIDIA everyone’s', async () => {
    const ext4 = { 'proc/self/mountinfo': NO_WEKA['proc/self/mountinfo'] ?? '' };
    const noInfiniband = without(READY, 'dev/infiniband');
    expect(await status('devices', {}, noInfiniband)).toBe('fail');
    expect(await status('devices', ext4, noInfiniband)).toBe('warn');
    expect(await status('devices', ext4, without(READY, 'dev/nvidia-fs0'))).toBe('fail');
    expect(await status('devices', {}, without(READY, 'dev/nvidiactl'))).toBe('fail');
  });

  it('rdma: interfaces that are not in the list, and addresses that are not this node’s', async () => {
    const rdma = async (list: readonly string[]) =>
      check(await forGds({ ...READY, 'etc/cufile.json': wekaCufile(list) }), 'rdma');
    expect(await rdma(['10.27.1.12', '10.27.1.11'])).toMatchObject({ status: 'ok' });
    expect(await rdma(['10.27.1.11'])).toMatchObject({
      status: 'warn',
      seen: expect.stringContaining('ib1 10.27.1.12') as string,
    });
    expect(await rdma(['10.27.1.11', '10.27.1.12', '10.9.9.9'])).toMatchObject({
      status: 'warn',
      seen: expect.stringContaining('10.9.9.9') as string,
    });
    expect(await rdma(['10.9.9.9'])).toMatchObject({ status: 'fail' });
    expect(
      await status('rdma', {
        'sys/class/net/ib0/operstate': 'down\n',
        'sys/class/net/ib1/operstate': 'down\n',
        'etc/cufile.json': STOCK,
      }),
    ).toBe('fail');
    expect(check(await forGds(without(READY, 'cmd/ip.txt')), 'rdma').status).toBe('unknown');
  });

  it('mount: read-only, lookups that fail are remembered, a cache beside the mount', async () => {
    const mount = async (options: string) => {
      const line = `41 27 0:51 / /mnt/weka rw - wekafs w/d ${options}\n`;
      return check(
        await examine({
          ...READY,
          'proc/self/mountinfo': line.replace(' rw ', options.startsWith('ro') ? ' ro ' : ' rw '),
        }),
        'mount',
      );
    };
    expect(await mount('rw,dentry_max_age_negative=0')).toMatchObject({ status: 'ok' });
    expect(await mount('rw,dentry_max_age_negative=100')).toMatchObject({
      status: 'warn',
      fix: expect.stringContaining('remount') as string,
    });
    expect(await mount('ro')).toMatchObject({ status: 'fail' });
    const beside = await examine({ ...READY, 'proc/self/environ': environ({ LMCACHE_WEKA_PATH: '/var/cache' }) });
    expect(check(beside, 'mount')).toMatchObject({
      status: 'warn',
      seen: '/var/cache is on /, ext4; WekaFS is mounted on /mnt/weka',
    });
  });

  it('space: little, and none', async () => {
    const space = (available: number) =>
      status('space', { 'cmd/df.txt': `w/d 1048576000 1 ${available} 9% /mnt/weka\n` });
    expect(await space(900_000_000)).toBe('ok');
    expect(await space(10_000_000)).toBe('warn');
    expect(await space(1000)).toBe('fail');
    expect(await status('space', { 'cmd/df.txt': 'nonsense' })).toBe('unknown');
  });

  it('buffer: more than may be pinned, and more than the GPU has', async () => {
    const buffer = (mib: number, more: Tree = {}) =>
      status('buffer', { 'proc/self/environ': environ({ LMCACHE_CUFILE_BUFFER_SIZE: String(mib) }), ...more });
    expect(await buffer(32_768)).toBe('ok');
    expect(await buffer(32_769)).toBe('fail');
    expect(await buffer(8192, { 'cmd/nvidia-smi.txt': '15360\n' })).toBe('warn');
    expect(await buffer(20_000, { 'cmd/nvidia-smi.txt': '15360 MiB\n' })).toBe('fail');
  });

  it('config: wrong settings are a failed check, and the rest is examined all the same', async () => {
    const report = await forGds({ ...READY, 'proc/self/environ': environ({ LMCACHE_CHUNK_SIZE: 'many' }) });
    expect(report.ready).toBe(false);
    expect(check(report, 'config')).toMatchObject({
      status: 'fail',
      seen: expect.stringContaining('LMCACHE_CHUNK_SIZE') as string,
    });
    expect(check(report, 'driver').status).toBe('ok');
    const file = {
      'proc/self/environ': 'LMCACHE_CONFIG_FILE=/etc/kv.yaml\0',
      'etc/kv.yaml': 'weka_path: /mnt/weka/kv\n',
    };
    expect((await forGds({ ...READY, ...file })).paths).toEqual([
      { path: '/mnt/weka/kv', mount: '/mnt/weka', type: 'wekafs' },
    ]);
  });

  it('path: the one given wins over the settings', async () => {
    const { paths } = await examine(READY, { path: '/mnt/weka/other' });
    expect(paths).toEqual([{ path: '/mnt/weka/other', mount: '/mnt/weka', type: 'wekafs' }]);
  });
});

describe('what is asked for', () => {
  const goal = (settings: object, requireGds = false): string =>
    goalOf(
      { config: { useGds: true, requireGds: false, ...settings } as Config, gpu: gpuSettings(settings as Config) },
      requireGds,
    );

  it('is host memory by default, and GPUDirect Storage where it is required', () => {
    expect(goal({ device: 'cpu' })).toBe('host');
    expect(goal({ device: 'cpu', requireGds: true })).toBe('gds');
    expect(goal({ device: 'cpu' }, true)).toBe('gds');
  });

  it('follows device and transport', () => {
    expect(goal({ device: 'cuda' })).toBe('auto');
    expect(goal({ device: 'cuda:1', transport: 'staged' })).toBe('staged');
    expect(goal({ device: 'cuda', transport: 'gds' })).toBe('cufile');
    expect(goal({ device: 'cuda', transport: 'gds', requireGds: true })).toBe('gds');
    expect(goal({ device: 'cuda', useGds: false })).toBe('staged');
  });
});

describe('what decides', () => {
  it('is what the transport needs', async () => {
    const facts = await gatherFacts(await recordedTree(writeTree(READY)), undefined);
    const needed = (goal: Goal) => judgeAll(facts, goal).flatMap((one) => (one.needed ? [one.id] : []));
    const host: CheckId[] = ['config', 'mount', 'permissions', 'space'];
    expect(needed('host')).toEqual(host);
    expect(needed('staged')).toEqual([...host, 'driver', 'buffer']);
    expect(needed('auto')).toEqual([...host, 'driver', 'buffer']);
    expect(needed('cufile')).toEqual([...host, 'driver', 'cufile', 'buffer']);
    expect(needed('gds')).toEqual(IDS.filter((id) => id !== 'live'));
  });
});

describe('a filesystem that does not answer', () => {
  it('is a failed mount, known from the kernel’s list, and nothing else is asked of it', async () => {
    const asked: string[] = [];
    const tree = await recordedTree(writeTree(READY));
    const system: System = {
      ...tree,
      answers: () => Promise.resolve({ errno: 'ETIMEDOUT' }),
      realpath: (path) => {
        asked.push(path);
        return tree.realpath(path);
      },
    };
    const report = await runOn(system, { requireGds: true });
    expect(check(report, 'mount')).toMatchObject({ status: 'fail', seen: '/mnt/weka (wekafs) does not answer' });
    expect(report.ready).toBe(false);
    expect(asked.filter((path) => path.startsWith('/mnt'))).toEqual([]);
    expect((await wekaMountsOf(system, ['/mnt/weka/cache'])).paths).toMatchObject([{ type: 'wekafs' }]);
    expect(asked.filter((path) => path.startsWith('/mnt'))).toEqual([]);
  });
});

describe('what this process may not see or do', () => {
  const denied = { errno: 'EACCES' } as const;

  it('is unknown, never guessed: and GPUDirect Storage is then not ready', async () => {
    const tree = await recordedTree(writeTree(READY));
    const hidden = ['/proc/modules', '/proc/driver/nvidia/version', '/etc/cufile.json'];
    const system: System = {
      ...tree,
      readText: (path) => (hidden.includes(path) ? Promise.resolve(denied) : tree.readText(path)),
      list: (path) => (/^\/(dev|sys)/.test(path) ? Promise.resolve(denied) : tree.list(path)),
      cufileVersion: () => Promise.resolve(denied),
      run: () => Promise.resolve(denied),
    };
    const report = await runOn(system, { requireGds: true });
    const gpu: CheckId[] = [
      'driver',
      'nvidia_fs',
      'nvidia_peermem',
      'peer_memory',
      'cufile',
      'cufile_json',
      'rdma',
      'gdscheck',
    ];
    expect(notOk(report)).toEqual({ unknown: ['permissions', ...gpu, 'devices', 'live'] });
    expect(report).toMatchObject({
      ready: false,
      gds: { usable: 'unknown' },
      reason: expect.stringMatching(/^driver: permission denied/) as string,
    });
  });

  it('a cache directory that can’t be written fails, and no chunk is tried', async () => {
    const tree = await recordedTree(writeTree(NO_GPU));
    const system: System = { ...tree, root: undefined, writable: () => Promise.resolve(denied) };
    const report = await runOn(system, {});
    expect(report).toMatchObject({ ready: false, reason: 'permissions: /root cannot be written: permission denied' });
    expect(check(report, 'permissions').fix).toContain('sudo mkdir -p /root/.cache/kv-offload');
    expect(check(report, 'live')).toMatchObject({ status: 'unknown', seen: 'not tried: permissions fails' });
  });
});

describe('docs/readiness.md', () => {
  const markdown = readFileSync(new URL('../../../docs/readiness.md', import.meta.url), 'utf8');

  it('has a row for each check, and no others', () => {
    const table = markdown.split('## The checks')[1]?.split('\n\n')[1] ?? '';
    expect([...table.matchAll(/^\| `(\w+)` /gm)].map(([, id]) => id).sort()).toEqual([...IDS].sort());
  });

  it('names every setting of cufile.json that is set', () => {
    for (const { path } of WEKA_SETTINGS) expect(markdown).toContain(path.at(-1));
  });
});

describe('malformed files', () => {
  it('never make an exception, nor a ready node of one that can’t be told', async () => {
    for (const [path, contents] of Object.entries(MALFORMED)) {
      for (const content of contents) {
        const report = await forGds({ ...READY, [path]: content });
        expect({ path, ids: report.checks.map(({ id }) => id) }).toEqual({ path, ids: IDS });
        expect(
          reportText(report, false)
            .split('\n')
            .filter((line) => line.length > 100),
        ).toEqual([]);
      }
    }
  });

  it.each([
    ['proc/driver/nvidia/version', 'driver'],
    ['proc/modules', 'nvidia_fs'],
    ['etc/cufile.json', 'cufile_json'],
    ['proc/self/mountinfo', 'mount'],
  ] as const)('%s: %s is not ok, and the node is not ready', async (path, id) => {
    for (const content of MALFORMED[path] ?? []) {
      const report = await forGds({ ...READY, [path]: content });
      expect({ ok: check(report, id).status === 'ok', ready: report.ready }).toEqual({ ok: false, ready: false });
    }
  });

  it('an empty tree is no ready node', async () => {
    expect(await forGds({})).toMatchObject({ ready: false, gds: { usable: 'no' } });
  });
});

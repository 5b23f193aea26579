import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type DoctorReport, recordNode, runDoctor } from '../../../src/index.js';
import { type TarEntry, tarOf } from '../../../src/readiness/tar.js';
import { memoryDirectory, temporaryDirectory } from '../../support/directories.js';
import {
  CONTAINER,
  CUDA_13_1,
  DMA_BUF,
  NO_GPU,
  NO_WEKA,
  OLD_NVIDIA_FS,
  READY,
  RHEL_WITHOUT_GDS,
  STOCK_13_0,
  WEKA_MOUNTINFO,
  environ,
  without,
} from './nodes.js';
import { writeTree } from './trees.js';

/** The members of an archive; each header's sum is held against it. */
function readTar(bytes: Uint8Array): TarEntry[] {
  const entries: TarEntry[] = [];
  const archive = Buffer.from(bytes);
  for (let at = 0; archive[at] !== 0;) {
    const header = archive.subarray(at, at + 512);
    const text = (from: number, length: number) => header.toString('utf8', from, from + length).split('\0', 1)[0] ?? '';
    const sum = header.reduce((all, byte, i) => all + (i >= 148 && i < 156 ? 32 : byte), 0);
    expect(parseInt(text(148, 8), 8)).toBe(sum);
    expect(text(257, 6)).toBe('ustar');
    const path = [text(345, 155), text(0, 100)]
      .filter((part) => part !== '')
      .join('/')
      .replace(/\/$/, '');
    const size = parseInt(text(124, 12), 8);
    const content = archive.subarray(at + 512, at + 512 + size);
    const kind = text(156, 1);
    if (kind === '5') entries.push({ path, kind: 'directory' });
    else if (kind === '2') entries.push({ path, kind: 'link', target: text(157, 100) });
    else entries.push({ path, kind: 'file', content });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return entries;
}

/** Unpacks an archive; gives the directory in it. */
function unpack(archive: Uint8Array): string {
  const directory = memoryDirectory();
  for (const entry of readTar(gunzipSync(archive))) {
    const place = join(directory, entry.path);
    mkdirSync(entry.kind === 'directory' ? place : dirname(place), { recursive: true });
    if (entry.kind === 'link') symlinkSync(entry.target, place);
    if (entry.kind === 'file') writeFileSync(place, entry.content);
  }
  return join(directory, 'kv-offload-node');
}

const NODES = Object.entries({
  READY,
  STOCK_13_0,
  CUDA_13_1,
  DMA_BUF,
  RHEL_WITHOUT_GDS,
  CONTAINER,
  NO_GPU,
  NO_WEKA,
  OLD_NVIDIA_FS,
}).map(([name, tree]) => ({ name, tree }));

const judged = ({ checks }: DoctorReport) =>
  checks.map(({ id, status, seen }) => `${id} ${status} ${id === 'space' ? '' : seen}`);

describe('recording a node', () => {
  it.each(NODES)('gives a tree that is examined to the same: $name', async ({ tree }) => {
    const root = writeTree(tree);
    const { report, archive } = await recordNode({ root, requireGds: true });
    const again = await runDoctor({ root: unpack(archive), requireGds: true });
    expect(judged(again)).toEqual(judged(report));
    expect({ ready: again.ready, reason: again.reason, paths: again.paths, gds: again.gds }).toEqual({
      ready: report.ready,
      reason: report.reason,
      paths: report.paths,
      gds: report.gds,
    });
  });

  it('gives a tree of this machine that is examined to the same, but for what only the living node tells', async () => {
    const options = { path: temporaryDirectory(), requireGds: true };
    const { report, archive } = await recordNode({ ...options, env: { PATH: process.env['PATH'] } });
    const again = await runDoctor({ root: unpack(archive), requireGds: true });
    const comparable = (one: DoctorReport) =>
      one.checks
        .filter(({ id }) => !['permissions', 'live', 'space', 'config'].includes(id))
        .map(({ id, status, seen }) => ({ id, status, seen }));
    expect(comparable(again)).toEqual(comparable(report));
    expect(again.paths).toEqual(report.paths);
  });

  it('follows /proc/mounts where that is all there is', async () => {
    const root = writeTree({
      ...without(READY, 'proc/self/'),
      'proc/self': { to: '4711' },
      ...Object.fromEntries(
        Object.entries(without(READY, 'proc/self/mountinfo'))
          .filter(([path]) => path.startsWith('proc/self/'))
          .map(([path, entry]) => [path.replace('self', '4711'), entry]),
      ),
      'proc/mounts': { to: 'self/mounts' },
      'proc/4711/mounts': 'w/d /mnt/weka wekafs rw,dentry_max_age_negative=0 0 0\n//h/s /home cifs rw,password=x 0 0\n',
    });
    const { report, archive } = await recordNode({ root });
    const again = unpack(archive);
    expect((await runDoctor({ root: again })).paths).toEqual(report.paths);
    expect(readFileSync(join(again, 'proc/mounts'), 'utf8')).toBe(
      'w/d /mnt/weka wekafs rw,dentry_max_age_negative=0 0 0\nhidden /home cifs rw 0 0\n',
    );
  });

  it('takes no secrets along', async () => {
    const secret = 'hunter2';
    const root = writeTree({
      ...READY,
      'proc/self/environ':
        environ({
          AWS_SECRET_ACCESS_KEY: secret,
          LMCACHE_REMOTE_URL: `redis://u:${secret}@h`,
          PYTHONHASHSEED: '424242',
        }) + `LMCACHE_EXTRA_CONFIG={"s3_secret_key":"${secret}","disk_io_threads":3}\0`,
      'proc/self/mountinfo': `${WEKA_MOUNTINFO}60 27 0:9 / /home rw,pw=${secret} - cifs //u:${secret}@h/s rw,password=${secret}\n`,
      'proc/self/status': `Name:\t${secret}\nCapEff:\t000001ffffffffff\n`,
      'proc/1/cgroup': `0::/docker/${secret}\n`,
      'cmd/ldconfig.txt': `\tlib${secret}.so (libc6) => /opt/${secret}.so\n\tlibcufile.so.0 (libc6,x86-64) => /usr/local/cuda/lib64/libcufile.so.0\n`,
    });
    const { archive, report } = await recordNode({ root, requireGds: true });
    expect(report.checks.find(({ id }) => id === 'devices')?.where).toContain('/proc/1/cgroup');
    const entries = readTar(gunzipSync(archive));
    for (const entry of entries) {
      const text = entry.kind === 'file' ? Buffer.from(entry.content).toString() : '';
      expect({ path: entry.path, leaks: text.includes(secret) || text.includes('424242') }).toEqual({
        path: entry.path,
        leaks: false,
      });
    }
    const settings = entries.find(({ path }) => path.endsWith('/kv-offload-settings.json'));
    expect(settings?.kind === 'file' && JSON.parse(Buffer.from(settings.content).toString())).toEqual({
      gds_path: '/mnt/weka/cache',
      gds_buffer_size: 2048,
      pre_caching_hash_algorithm: 'sha256_cbor',
      extra_config: { disk_io_threads: 3 },
    });
  });

  it('gives the same bytes for the same node', async () => {
    const root = writeTree(READY);
    const archives = [await recordNode({ root }), await recordNode({ root })].map(({ archive }) =>
      Buffer.from(archive).toString('hex'),
    );
    expect(archives[0]).toBe(archives[1]);
  });
});

describe('tar', () => {
  const file = (path: string, text = ''): TarEntry => ({ path, kind: 'file', content: Buffer.from(text) });

  it('holds files of any length, directories and symlinks', () => {
    const entries: TarEntry[] = [
      { path: 'a', kind: 'directory' },
      ...[0, 1, 511, 512, 513].map((length) => file(`a/${length}`, 'x'.repeat(length))),
      { path: 'a/link', kind: 'link', target: '../b' },
    ];
    const bytes = tarOf(entries);
    expect(
      readTar(bytes).map((entry) =>
        entry.kind === 'file' ? { ...entry, content: Buffer.from(entry.content) } : entry,
      ),
    ).toEqual(entries);
    expect(bytes.length % 512).toBe(0);
  });

  it('splits long paths at a slash, and leaves out what has no room', () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(60)}/${'f'.repeat(99)}`;
    const entries = [
      file(long),
      file('g'.repeat(101)),
      { path: 'l', kind: 'link', target: 't'.repeat(101) } as const,
      file('end'),
    ];
    expect(readTar(tarOf(entries)).map(({ path }) => path)).toEqual([long, 'end']);
  });
});

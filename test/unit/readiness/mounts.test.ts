import { describe, expect, it } from 'vitest';
import { findWekaMounts } from '../../../src/index.js';
import { type Tree, writeTree } from './trees.js';

const HEAD = '22 27 0:21 / /proc rw - proc proc rw\n27 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n';
const OPTIONS =
  'rw,writecache,inode_bits=auto,readahead_kb=32768,dentry_max_age_positive=1000,dentry_max_age_negative=0,container_name=client';
const WEKA = `41 27 0:51 / /mnt/weka rw,relatime shared:9 - wekafs 10.27.1.1/default ${OPTIONS}\n`;

const mountsOf = (mountinfo: string, paths: readonly string[] = [], files: Tree = {}) =>
  findWekaMounts({ root: writeTree({ 'proc/self/mountinfo': HEAD + mountinfo, ...files }), paths });

describe('findWekaMounts', () => {
  it('gives mount point, source and options, explained', async () => {
    const { mounts, paths } = await mountsOf(WEKA, ['/mnt/weka/cache']);
    expect(mounts).toHaveLength(1);
    expect(mounts[0]).toMatchObject({ path: '/mnt/weka', type: 'wekafs', source: '10.27.1.1/default', warnings: [] });
    expect(mounts[0]?.options).toEqual(['rw', 'relatime', ...OPTIONS.split(',').slice(1)]);
    expect(mounts[0]?.explained.map(({ option }) => option)).toEqual([
      'rw',
      'relatime',
      'writecache',
      'readahead_kb=32768',
      'dentry_max_age_positive=1000',
      'dentry_max_age_negative=0',
      'container_name=client',
    ]);
    expect(paths).toEqual([{ path: '/mnt/weka/cache', mount: '/mnt/weka', type: 'wekafs' }]);
  });

  it('matches the type exactly', async () => {
    const others = ['fuse.wekafs', 'wekafs2', 'weka', 'WEKAFS', 'nfs4']
      .map((type, i) => `${50 + i} 27 0:6${i} / /mnt/wekafs${i} rw - ${type} wekafs rw\n`)
      .join('');
    expect((await mountsOf(others)).mounts).toEqual([]);
  });

  it('decodes octal escapes', async () => {
    const { mounts } = await mountsOf('41 27 0:51 / /mnt/my\\040weka rw - wekafs a\\134b/x rw\n');
    expect(mounts[0]).toMatchObject({ path: '/mnt/my weka', source: 'a\\b/x' });
  });

  it('lists bind and nested mounts, each once', async () => {
    const bind = '42 27 0:51 /team /data/cache rw - wekafs 10.27.1.1/default rw\n';
    const nested = '43 41 0:52 / /mnt/weka/inner rw - wekafs 10.27.1.1/other rw\n';
    const { mounts, paths } = await mountsOf(WEKA + bind + nested, ['/data/cache/a', '/mnt/weka/inner/a']);
    expect(mounts.map(({ path }) => path)).toEqual(['/mnt/weka', '/data/cache', '/mnt/weka/inner']);
    expect(paths.map(({ mount }) => mount)).toEqual(['/data/cache', '/mnt/weka/inner']);
  });

  it('says which mount is hidden by a later one', async () => {
    const over = '60 27 0:70 / /mnt rw - tmpfs tmpfs rw\n';
    const same = '61 27 0:71 / /mnt/weka rw - wekafs 10.27.1.1/second rw\n';
    const warnings = async (text: string) => (await mountsOf(text)).mounts.map((mount) => mount.warnings);
    expect(await warnings(WEKA + over)).toEqual([['hidden by a later mount (tmpfs) on /mnt; unmount that one']]);
    expect(await warnings(WEKA + same)).toEqual([
      ['hidden by a later mount (wekafs) on /mnt/weka; unmount that one'],
      [],
    ]);
  });

  it('follows a symlink to the mount, also of a directory that is yet to be made', async () => {
    const links: Tree = { 'srv/cache': { to: '/mnt/weka/cache' }, 'mnt/weka/cache/x': '' };
    const { paths, mounts } = await mountsOf(WEKA, ['/srv/cache', '/srv/cache/new/deep'], links);
    expect(paths.map(({ type }) => type)).toEqual(['wekafs', 'wekafs']);
    expect(mounts[0]?.warnings).toEqual([]);
  });

  it('warns of failed lookups that are remembered, of read-only, and of a cache that is elsewhere', async () => {
    const bad = '41 27 0:51 / /mnt/weka ro - wekafs w/d ro,dentry_max_age_negative=2000\n';
    const { mounts } = await mountsOf(bad, ['/var/cache']);
    expect(mounts[0]?.warnings).toEqual([
      expect.stringContaining('dentry_max_age_negative is 2000, not 0'),
      expect.stringContaining('read-only'),
      'the cache path /var/cache is not on it, but on / (ext4)',
    ]);
  });

  it('holds the configured paths against the mounts, and the default one not', async () => {
    const root = writeTree({
      'proc/self/mountinfo': HEAD + WEKA,
      'proc/self/environ': 'LMCACHE_CONFIG_FILE=/etc/lmcache.yaml\0HOME=/root\0',
      'etc/lmcache.yaml': 'weka_path: /mnt/weka/a,/var/b\n',
    });
    expect((await findWekaMounts({ root })).paths.map(({ path }) => path)).toEqual(['/mnt/weka/a', '/var/b']);
    expect((await findWekaMounts({ root, env: { HOME: '/root' } })).paths).toEqual([]);
  });

  it('falls back to /proc/mounts, and finds nothing where neither can be read', async () => {
    const old = writeTree({ 'proc/mounts': 'w/d /mnt/weka wekafs rw 0 0\n' });
    expect((await findWekaMounts({ root: old, paths: [] })).mounts.map(({ path }) => path)).toEqual(['/mnt/weka']);
    const { mounts, paths } = await findWekaMounts({ root: writeTree({}), paths: ['/x'] });
    expect({ mounts, paths }).toEqual({ mounts: [], paths: [{ path: '/x', mount: '/', type: 'unknown' }] });
  });

  it('survives lines that are none', async () => {
    expect((await mountsOf('\n- wekafs\n1 2 3\n\0\0\n41 27 0:51 / relative rw - wekafs a rw\n')).mounts).toEqual([]);
  });

  it('looks at this machine without a root', async () => {
    const { paths } = await findWekaMounts({ paths: ['/'] });
    expect(paths).toEqual([{ path: '/', mount: '/', type: expect.stringMatching(/^\w/) as string }]);
  });

  it('refuses a root that is no directory', async () => {
    await expect(findWekaMounts({ root: '/none/such' })).rejects.toMatchObject({ code: 'KVO_PATH_UNUSABLE' });
  });
});

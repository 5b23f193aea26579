import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type Mount, type MountSources, findMount, parseMountinfo, parseMounts } from '../../src/layout/index.js';

const MOUNTINFO = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
40 27 0:50 / /mnt rw - autofs systemd-1 rw
41 40 0:51 / /mnt/weka rw,relatime shared:9 master:2 - wekafs backend/default rw,writecache
42 40 0:52 / /mnt/with\\040space rw - nfs4 server:/a\\134b rw
43 27 0:53 / /data rw - ext4 /dev/a rw
44 43 0:54 / /data ro,noatime - xfs /dev/b ro,noatime,inode64
`;

/** A world of that mountinfo in which everything exists, but for what `missing` names. */
function world(mountinfo: string, links: Record<string, string> = {}, missing: string[] = []): MountSources {
  return {
    readFile: (path) => {
      if (path !== '/proc/self/mountinfo') throw new Error(`no ${path}`);
      return mountinfo;
    },
    realpath: (path) => {
      if (missing.some((gone) => path === gone || path.startsWith(`${gone}/`))) throw new Error(`no ${path}`);
      return links[path] ?? path;
    },
  };
}

const typeOf = (path: string, sources = world(MOUNTINFO)): string => findMount(path, sources).type;

describe('findMount', () => {
  it('takes the longest mount point', () => {
    expect(findMount('/mnt/weka/cache/a', world(MOUNTINFO))).toEqual({
      path: '/mnt/weka',
      type: 'wekafs',
      source: 'backend/default',
      options: ['rw', 'relatime', 'writecache'],
    });
    expect(typeOf('/mnt/weka')).toBe('wekafs');
    expect(typeOf('/mnt/other')).toBe('autofs');
    expect(typeOf('/home')).toBe('ext4');
    expect(typeOf('/')).toBe('ext4');
  });

  it('matches whole components: /mnt/weka2 does not lie on /mnt/weka', () => {
    expect(typeOf('/mnt/weka2')).toBe('autofs');
    expect(typeOf('/mntx')).toBe('ext4');
  });

  it('takes the last of several mounts on one point', () => {
    expect(findMount('/data/x', world(MOUNTINFO))).toMatchObject({ type: 'xfs', source: '/dev/b' });
  });

  it('finds the root though it is listed behind others', () => {
    expect(typeOf('/proc/self')).toBe('proc');
  });

  it('decodes escapes', () => {
    expect(findMount('/mnt/with space/x', world(MOUNTINFO))).toMatchObject({
      path: '/mnt/with space',
      source: 'server:/a\\b',
    });
  });

  it('resolves symlinks, those of a path’s nearest existing ancestor too', () => {
    const links = { '/cache': '/mnt/weka/cache' };
    expect(typeOf('/cache', world(MOUNTINFO, links))).toBe('wekafs');
    expect(typeOf('/cache/new/deep', world(MOUNTINFO, links, ['/cache/new']))).toBe('wekafs');
    expect(typeOf('/mnt/weka/new', world(MOUNTINFO, {}, ['/mnt']))).toBe('wekafs');
  });

  it('normalises a path before it looks', () => {
    expect(typeOf('/mnt/weka/../weka2')).toBe('autofs');
    expect(typeOf('/mnt/weka/')).toBe('wekafs');
  });

  it('falls back to /proc/mounts where mountinfo is missing or empty', () => {
    const mounts = '/dev/vda / ext4 rw 0 0\nbackend /mnt/weka wekafs rw,noatime 0 0\n';
    for (const mountinfo of [undefined, '']) {
      const readFile = (path: string): string => {
        const text = path === '/proc/mounts' ? mounts : mountinfo;
        if (text === undefined) throw new Error('ENOENT');
        return text;
      };
      expect(typeOf('/mnt/weka/x', { ...world(''), readFile })).toBe('wekafs');
    }
  });

  it('answers `unknown` where the system tells of no mount', () => {
    const readFile = (): string => {
      throw new Error('no /proc');
    };
    expect(findMount('/x', { ...world(''), readFile })).toEqual({
      path: '/',
      type: 'unknown',
      source: 'none',
      options: [],
    });
  });

  it('finds a real mount, through a real symlink, of a path yet to be made', () => {
    const directory = mkdtempSync(join(tmpdir(), 'kvo-mount-'));
    try {
      symlinkSync('/proc/self', join(directory, 'link'));
      expect(findMount(join(directory, 'link', 'fd'))).toMatchObject({ path: '/proc', type: 'proc' });
      expect(findMount(join(directory, 'not', 'yet'))).toEqual(findMount(directory));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('parseMountinfo', () => {
  it('reads lines with any number of optional fields, in order', () => {
    expect(parseMountinfo(MOUNTINFO).map(({ path, type }) => [path, type])).toEqual([
      ['/proc', 'proc'],
      ['/', 'ext4'],
      ['/mnt', 'autofs'],
      ['/mnt/weka', 'wekafs'],
      ['/mnt/with space', 'nfs4'],
      ['/data', 'ext4'],
      ['/data', 'xfs'],
    ]);
  });

  it.each([
    '',
    'nonsense',
    '27 1 254:0 / / rw,relatime shared:1 ext4 /dev/vda rw',
    '27 1 254:0 / relative rw - ext4 /dev/vda rw',
    '27 1 254:0 / / rw -',
    '27 1 254:0 / / rw - ext4',
    '27 1 254:0 / / rw -  /dev/vda rw',
  ])('leaves out the malformed line %j', (line) => {
    const good = '27 1 254:0 / / rw - ext4 /dev/vda rw';
    expect(parseMountinfo(`${line}\n${good}\n`)).toEqual(parseMountinfo(good));
    expect(parseMountinfo(good)).toHaveLength(1);
  });

  it('takes a line without options of the filesystem', () => {
    const [mount] = parseMountinfo('27 1 254:0 / / rw - ext4 /dev/vda');
    expect(mount).toEqual({ path: '/', type: 'ext4', source: '/dev/vda', options: ['rw'] } satisfies Mount);
  });

  it('survives any text', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.constantFrom(' ', ' - ', '\n', '/', '/a', '\\040', '\\', 'rw', 'ext4', '27 1 254:0 / / rw - ext4 x rw\n'),
    );
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        for (const mount of [...parseMountinfo(text), ...parseMounts(text)]) {
          expect(mount.path.startsWith('/')).toBe(true);
          expect(mount.type).not.toBe('');
        }
        findMount('/a/b', world(text));
      }),
      { numRuns: 10_000 },
    );
  });
});

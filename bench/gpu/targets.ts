/** The figures to reach, each from the rows that decide it. */
import type { Row, Target } from './rows.js';

const KIB = 2 ** 10;
const MIB = 2 ** 20;

export function targets(rows: readonly Row[]): Target[] {
  const all: Target[] = [];
  const atLeast = (name: string, least: number, reached: number | undefined) =>
    all.push({ name, wanted: `≥ ${least}`, reached, met: reached !== undefined && reached >= least });

  const plainRows = ours(rows).filter((row) => row.note === undefined);
  for (const on of new Set(plainRows.map((row) => row.on))) {
    for (const [chunkBytes, least] of [
      [32 * MIB, 0.92],
      [10 * MIB, 0.92],
      [MIB, 0.86],
      [256 * KIB, 0.86],
    ] as const) {
      const these = plainRows.filter((row) => row.on === on && row.chunkBytes === chunkBytes);
      const label = `${on}, chunks of ${chunkBytes / KIB} KiB`;
      const retrieved = best(these.filter((row) => row.what === 'retrieve'));
      atLeast(`retrieve, share of the ceiling: ${label}`, least, retrieved?.ofCeiling);
      const stored = best(these.filter((row) => row.what === 'store'));
      atLeast(`store of new files, share of plain C++: ${label}`, 0.9, stored?.ofPlain);
    }
    for (const [segment, least] of [
      [64, 0.86],
      [16, 0.8],
      [2, 0.8],
    ] as const) {
      const paged = ours(rows).filter((row) => row.on === on && row.note === `segments of ${segment} KiB`);
      const label = `${on}, segments of ${segment} KiB`;
      const retrieved = best(paged.filter((row) => row.what === 'retrieve'));
      atLeast(`paged retrieve, share of the ceiling: ${label}`, least, retrieved?.ofCeiling);
      const stored = paged.filter((row) => row.what === 'store');
      const whole = best(
        plainRows.filter(
          (row) => row.on === on && row.what === 'store' && stored.some((one) => one.chunkBytes === row.chunkBytes),
        ),
      );
      atLeast(`paged store, share of the contiguous one: ${label}`, 0.9, ratio(best(stored), whole));
    }
  }
  const eight = plainRows.find(
    (row) => row.what === 'retrieve' && row.on !== 'tmpfs' && row.threads === 8 && row.chunkBytes === 32 * MIB,
  );
  atLeast('8 threads at 32 MiB, share of the ceiling', 0.88, eight?.ofCeiling);
  const cpu = eight?.ours.cpu;
  all.push({
    ...{ name: '8 threads at 32 MiB, CPU seconds a GiB', wanted: '≤ 0.22', reached: cpu },
    met: cpu !== undefined && cpu <= 0.22,
  });
  againstPeers(rows, atLeast);
  return all;
}

function againstPeers(
  rows: readonly Row[],
  atLeast: (name: string, least: number, reached: number | undefined) => void,
): void {
  // A peer's row counts where its bytes were verified, and on the filesystem that it ran on.
  const peers = rows.filter((row) => row.who !== 'ours' && row.verified);
  const against = (name: string, what: string, peerWhat: string, chunkBytes: number, least: number) => {
    const peer = best(
      peers.filter((row) => row.who.startsWith(name) && row.what === peerWhat && row.chunkBytes === chunkBytes),
    );
    const mine = best(
      ours(rows).filter(
        (row) =>
          row.note === undefined && row.what === what && row.chunkBytes === chunkBytes && row.on === (peer?.on ?? ''),
      ),
    );
    return { reached: ratio(mine, peer), name: `${what} at ${chunkBytes / MIB} MiB, times the better of `, least };
  };
  for (const [chunkBytes, load, other, store] of [
    [32 * MIB, 1.5, 1.08, 3],
    [MIB, 5, 1.6, 8],
  ] as const) {
    const lmcache = against('lmcache', 'retrieve', 'load', chunkBytes, load);
    atLeast(`${lmcache.name}LMCache`, load, lmcache.reached);
    const others = ['kvikio', 'nixl'].map((peer) => against(peer, 'retrieve', 'load', chunkBytes, other));
    const known = others.flatMap(({ reached }) => (reached === undefined ? [] : [reached]));
    const name = `retrieve at ${chunkBytes / MIB} MiB, times the better of KvikIO and NIXL`;
    atLeast(name, other, known.length === others.length ? Math.min(...known) : undefined);
    const stored = against('lmcache', 'store', 'store', chunkBytes, store);
    atLeast(`${stored.name}LMCache`, store, stored.reached);
  }
}

function ours(rows: readonly Row[]): Row[] {
  return rows.filter((row) => row.who === 'ours' && row.verified);
}

function best(rows: readonly Row[]): Row | undefined {
  return rows.reduce<Row | undefined>(
    (found, row) => (found === undefined || row.ours.median > found.ours.median ? row : found),
    undefined,
  );
}

function ratio(mine: Row | undefined, other: Row | undefined): number | undefined {
  return mine === undefined || other === undefined ? undefined : mine.ours.median / other.ours.median;
}

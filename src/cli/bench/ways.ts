/** Which way a cell's bytes go, and what its rows therefore say of transport, I/O and page cache. */
import type { TransportInfo } from '../../store/transport.js';
import type { Row } from './schema.js';

/** One direction. */
export interface Way {
  /** `host`; with a GPU `gds` or `staged`, both with a + between where they differ. */
  readonly transport: string;
  readonly io: 'direct' | 'buffered';
}

export interface Ways {
  readonly store: Way;
  readonly retrieve: Way;
  readonly mix: Way;
}

/** @param direct - whether O_DIRECT is asked for, which cuFile's files are opened with in any case */
export function waysOf({ kind, io, routes }: TransportInfo, direct: boolean): Ways {
  const mode = direct ? 'direct' : 'buffered';
  const [route] = routes;
  if (kind === 'host' || route === undefined) {
    const host = { transport: 'host', io: mode } as const;
    return { store: host, retrieve: host, mix: host };
  }
  const way = (transport: 'gds' | 'staged'): Way => {
    return { transport, io: transport === 'gds' ? (io[0]?.mode ?? mode) : mode };
  };
  const [store, retrieve] = [way(route.writes), way(route.reads)];
  const transport = route.writes === route.reads ? route.reads : `${route.reads}+${route.writes}`;
  return { store, retrieve, mix: { transport, io: retrieve.io } };
}

/** What a read finds in the page cache after a store. */
export function cacheOf({ io }: Way): Row['cache'] {
  return io === 'direct' ? 'bypassed' : 'warm';
}

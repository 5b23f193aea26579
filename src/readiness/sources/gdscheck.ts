/** What NVIDIA's `gdscheck -p` says of WekaFS, in both of its formats. */
import { type Answer, type System, isAbsent, valueOf } from '../system.js';

/** The lines that matter; undefined where a line is missing. */
export interface Gdscheck {
  readonly program: string;
  /** Before 1.16 `Supported` or `Unsupported`; since then what works: `dmabuf, compat`. */
  readonly weka: string | undefined;
  readonly peerDirect: string | undefined;
  readonly dmaBuf: string | undefined;
  readonly rdmaLibrary: string | undefined;
  readonly rdmaDevices: string | undefined;
  readonly iommu: string | undefined;
}

/** Runs it where it is installed; with the cufile.json that cuFile would be pointed at. */
export async function runGdscheck(system: System, cufileJson: string): Promise<Answer<Gdscheck>> {
  let answer: Answer<string> = { errno: 'ENOENT' };
  for (const program of await candidates(system)) {
    answer = await system.run(program, ['-p'], { CUFILE_ENV_PATH_JSON: cufileJson });
    if ('value' in answer) return { value: parseGdscheck(answer.value, program) };
    if (!isAbsent(answer)) return answer;
  }
  return answer;
}

async function candidates(system: System): Promise<string[]> {
  const names = valueOf(await system.list('/usr/local')) ?? [];
  const installed = names
    .filter((name) => /^cuda(-\d|$)/.test(name))
    .sort((a, b) => a.length - b.length || b.localeCompare(a, 'en', { numeric: true }))
    .map((name) => `/usr/local/${name}/gds/tools/gdscheck`);
  // Without a slash: from PATH, or of a recorded tree.
  return [...installed, 'gdscheck'];
}

export function parseGdscheck(text: string, program: string): Gdscheck {
  const line = (name: string) => new RegExp(`^[ \\t-]*${name}\\s*:[ \\t]*(\\S.*?)\\s*$`, 'im').exec(text)?.[1];
  return {
    program,
    weka: line('WekaFS'),
    peerDirect: line('Mellanox PeerDirect'),
    dmaBuf: line('DmaBuf support'),
    rdmaLibrary: line('rdma library'),
    rdmaDevices: line('rdma devices'),
    iommu: line('IOMMU'),
  };
}

/** Whether it names DMA-BUF as what serves WekaFS or peers. */
export function usesDmaBuf(gdscheck: Gdscheck): boolean {
  return /dmabuf/i.test(gdscheck.weka ?? '') || /^enabled/i.test(gdscheck.dmaBuf ?? '');
}

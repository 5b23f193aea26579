/** The table of checks: what depends on each, and which transports need it. */
import type { Check, CheckId, Goal, Judge } from '../check.js';
import type { NodeFacts } from '../facts.js';
import { judgeMount, judgePermissions, judgeSpace } from './cache-path.js';
import { judgeCufile, judgeCufileJson } from './cufile.js';
import { judgeDriver, judgeNvidiaFs, judgePeermem, judgePeers } from './kernel.js';
import { judgeBuffer, judgeDevices, judgeMemlock } from './process.js';
import { judgeGdscheck, judgeRdma } from './rdma.js';
import { judgeConfig } from './settings.js';

interface Row {
  readonly id: CheckId;
  readonly judge: Judge;
  readonly why: string;
  readonly needs: readonly Goal[];
}

const ALL: readonly Goal[] = ['host', 'staged', 'auto', 'cufile', 'gds'];
const GPU: readonly Goal[] = ['staged', 'auto', 'cufile', 'gds'];
const CUFILE: readonly Goal[] = ['cufile', 'gds'];
const GDS: readonly Goal[] = ['gds'];

/** All but the live one, in the order in which they are mended. */
const ROWS: readonly Row[] = [
  { id: 'config', judge: judgeConfig, needs: ALL, why: 'nothing opens with settings that are wrong' },
  {
    id: 'mount',
    judge: judgeMount,
    needs: ALL,
    why: 'the filesystem decides who shares the cache, and how bytes can move',
  },
  { id: 'permissions', judge: judgePermissions, needs: ALL, why: 'chunks are stored by this user' },
  { id: 'space', judge: judgeSpace, needs: ALL, why: 'a full filesystem makes stores fail, KVO_NO_SPACE' },
  { id: 'driver', judge: judgeDriver, needs: GPU, why: 'no GPU memory without it' },
  { id: 'nvidia_fs', judge: judgeNvidiaFs, needs: GDS, why: 'cuFile reaches the GPU’s memory through it' },
  {
    id: 'nvidia_peermem',
    judge: judgePeermem,
    needs: GDS,
    why: 'it, or DMA-BUF, lets the InfiniBand adapter reach GPU memory',
  },
  {
    id: 'peer_memory',
    judge: judgePeers,
    needs: GDS,
    why: 'the kernel’s RDMA stack knows GPU memory by these clients, or by DMA-BUF',
  },
  { id: 'cufile', judge: judgeCufile, needs: CUFILE, why: 'it is GPUDirect Storage’s library' },
  {
    id: 'cufile_json',
    judge: judgeCufileJson,
    needs: GDS,
    why: 'CUDA’s stock file turns GPUDirect Storage off on WekaFS, without an error',
  },
  {
    id: 'rdma',
    judge: judgeRdma,
    needs: GDS,
    why: 'WekaFS moves bytes to the GPU over the InfiniBand interfaces in cufile.json',
  },
  { id: 'gdscheck', judge: judgeGdscheck, needs: GDS, why: 'it is NVIDIA’s own opinion of this node' },
  {
    id: 'devices',
    judge: judgeDevices,
    needs: GDS,
    why: 'containers get only the devices and capabilities they are given',
  },
  { id: 'memlock', judge: judgeMemlock, needs: GDS, why: 'RDMA locks the registered buffer in memory' },
  { id: 'buffer', judge: judgeBuffer, needs: GPU, why: 'the registered buffer must fit what can be pinned' },
];

/** What the live check is for. */
export const LIVE_WHY = 'only bytes that came back prove that they can';

/** Judges a node. */
export function judgeAll(facts: NodeFacts, goal: Goal): Check[] {
  return ROWS.map(({ id, judge, why, needs }) => {
    const { status, seen, where, fix } = judge(facts, goal);
    return { id, status, seen, where, why, fix: fix ?? null, needed: needs.includes(goal) };
  });
}

/** Which transport a configuration asks for. */
import type { Goal } from './check.js';
import type { NodeFacts } from './facts.js';

/** @param requireGds - GPUDirect Storage is asked for, whatever the settings say */
export function goalOf({ config, gpu }: Pick<NodeFacts, 'config' | 'gpu'>, requireGds: boolean): Goal {
  if (requireGds || config?.requireGds === true) return 'gds';
  if (gpu.device === 'cpu') return 'host';
  if (config?.useGds === false) return 'staged';
  // The setting asks for cuFile in any case; that its bytes go direct, require_gds asks for.
  if (gpu.transport === 'gds') return 'cufile';
  return gpu.transport === 'staged' ? 'staged' : 'auto';
}

const WORDS: Readonly<Record<Goal, string>> = {
  host: 'host memory',
  staged: 'GPU memory through pinned host memory',
  auto: 'GPU memory, by GPUDirect Storage where it works',
  cufile: 'GPU memory by cuFile',
  gds: 'GPUDirect Storage',
};

export function goalText(goal: Goal): string {
  return WORDS[goal];
}

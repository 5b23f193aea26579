/** NVIDIA's packages, as commands that install them. */
import { cudaOf } from './cuda-versions.js';
import type { NodeFacts } from './facts.js';
import { valueOf } from './system.js';

/** Where the node's own CUDA is not known. */
const USUAL_CUDA = '12.9';

/** `sudo apt-get install nvidia-gds-13-0`: of the node's distribution and CUDA. */
export function installPackage(name: string, { redHat, cufile }: Pick<NodeFacts, 'redHat' | 'cufile'>): string {
  const cuda = cudaOf(valueOf(cufile)?.version ?? '') ?? USUAL_CUDA;
  return `sudo ${redHat ? 'dnf' : 'apt-get'} install ${name}-${cuda.replace('.', '-')}`;
}

/** Which CUDA brings which cuFile. */

/** NVIDIA numbers cuFile apart from CUDA. */
const CUDA_OF_CUFILE: Readonly<Record<string, string>> = {
  '1.13': '12.8',
  '1.14': '12.9',
  '1.15': '13.0',
  '1.16': '13.1',
  '1.19': '13.4',
};

/** `13.0` for cuFile `1.15.1`; undefined where it isn't known. */
export function cudaOf(cufileVersion: string): string | undefined {
  return CUDA_OF_CUFILE[cufileVersion.split('.', 2).join('.')];
}

/**
 * CUDA's libraries as peers look for them: by `libcufile.so` and `libcudart.so`, where a Python environment has only
 * `libcufile.so.0` and `libcudart.so.13`, below site-packages.
 */
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { inRoot } from './paths.mjs';
import { quiet } from './run.mjs';

const NAMES = ['libcufile.so', 'libcudart.so'];

const FIND = `
import ctypes, glob, importlib.util, json
found = {}
for name in ${JSON.stringify(NAMES)}:
    try:
        ctypes.CDLL(name)
        continue
    except OSError:
        pass
    spec = importlib.util.find_spec("nvidia")
    places = [f"{place}/*/lib" for place in (spec.submodule_search_locations if spec else [])]
    for place in places + ["/usr/local/cuda/lib64", "/usr/local/cuda/targets/*/lib"]:
        files = sorted(glob.glob(f"{place}/{name}*"), key=len)
        if files:
            found[name] = files[0]
            break
print(json.dumps(found))
`;

/**
 * The environment in which they are found: LD_LIBRARY_PATH, or nothing where the loader finds them already.
 *
 * @param {string} python
 * @returns {Promise<Record<string, string>>}
 */
export async function cudaLibraries(python) {
  const { stdout } = await quiet('finding libcufile', [python, '-c', FIND]);
  /** @type {Record<string, string>} */
  const found = JSON.parse(stdout);
  const files = Object.entries(found);
  if (files.length === 0) return {};
  const links = inRoot('.cache/cuda-libraries');
  rmSync(links, { recursive: true, force: true });
  mkdirSync(links, { recursive: true });
  for (const [name, file] of files) {
    for (const link of new Set([name, basename(file)])) {
      if (!existsSync(join(links, link))) symlinkSync(file, join(links, link));
    }
  }
  // Their own folders too: they find their neighbours by the path that they were loaded from.
  const folders = [links, ...new Set(files.map(([, file]) => dirname(file)))];
  const before = process.env.LD_LIBRARY_PATH;
  return { LD_LIBRARY_PATH: [...folders, ...(before === undefined ? [] : [before])].join(':') };
}

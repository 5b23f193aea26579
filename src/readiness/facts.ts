/** All that the checks judge, gathered once. Nothing here judges, and nothing throws for what a node lacks. */
import type { Config } from '../config/index.js';
import { KVOffloadError } from '../errors.js';
import type { Mount } from '../layout/mount.js';
import { type GpuSettings, gpuSettings } from './gpu-settings.js';
import { nodeConfig } from './node-config.js';
import { type NodeMounts, type ResolvedPath, absolutePath, readMounts, resolveExisting } from './node-mounts.js';
import { type CufileJson, readCufileJson } from './sources/cufile-json.js';
import { type Gdscheck, runGdscheck } from './sources/gdscheck.js';
import { type NodeInterface, readInterfaces } from './sources/interfaces.js';
import { type KernelFacts, readKernel } from './sources/kernel.js';
import { type ProcessFacts, readProcess } from './sources/process-limits.js';
import { type Answer, type CufileLibrary, type Space, type System, valueOf } from './system.js';

/** One directory of the cache. */
export interface PathFacts extends ResolvedPath {
  readonly path: string;
  readonly mount: Mount;
  /** Of the nearest directory that exists; with the kind of what is there. */
  readonly writable: Answer<true>;
  readonly directory: boolean;
  readonly space: Answer<Space>;
  /** False: the filesystem doesn't answer. */
  readonly answers: boolean;
}

/** A node, as far as offload cares. */
export interface NodeFacts {
  /** False: a recorded tree. */
  readonly living: boolean;
  readonly config: Config | undefined;
  /** Why there is no configuration. */
  readonly configProblem: string | undefined;
  readonly gpu: GpuSettings;
  readonly kernel: KernelFacts;
  readonly cufile: Answer<CufileLibrary>;
  readonly cufileJson: CufileJson;
  readonly interfaces: readonly NodeInterface[] | undefined;
  readonly gdscheck: Answer<Gdscheck>;
  readonly mounts: NodeMounts;
  readonly paths: readonly PathFacts[];
  readonly process: ProcessFacts;
  /** MiB of each GPU's memory; undefined where nvidia-smi doesn't tell. */
  readonly gpuMiB: readonly number[] | undefined;
  /** A distribution of Red Hat's family. */
  readonly redHat: boolean;
  /** `NVIDIA_GDS` of the environment. */
  readonly nvidiaGds: string | undefined;
}

/** @param path - the cache directory in place of the configured ones */
export async function gatherFacts(system: System, path: string | undefined): Promise<NodeFacts> {
  const { config, configProblem } = await readConfig(system, path);
  const gpu = gpuSettings(config);
  const [kernel, cufile, cufileJson, interfaces, mounts, process, gpuMiB, release] = await Promise.all([
    readKernel(system),
    system.cufileVersion(gpu.libcufilePath),
    readCufileJson(system, gpu.cufileConfig),
    readInterfaces(system),
    readMounts(system),
    readProcess(system),
    gpuMemory(system),
    system.readText('/etc/os-release'),
  ]);
  return {
    living: system.root === undefined,
    config,
    configProblem,
    gpu,
    kernel,
    cufile,
    cufileJson,
    interfaces,
    gdscheck: await runGdscheck(system, cufileJson.path),
    mounts,
    paths: await Promise.all(
      (config?.paths ?? (path === undefined ? [] : [path])).map((one) =>
        pathFacts(system, mounts, absolutePath(system, one)),
      ),
    ),
    process,
    gpuMiB,
    redHat: /^ID(_LIKE)?=.*\b(rhel|fedora|centos|rocky|almalinux)\b/m.test(valueOf(release) ?? ''),
    nvidiaGds: system.env['NVIDIA_GDS'],
  };
}

async function readConfig(system: System, path: string | undefined) {
  try {
    return { config: await nodeConfig(system, path), configProblem: undefined };
  } catch (error) {
    if (!(error instanceof KVOffloadError)) throw error;
    return { config: undefined, configProblem: error.message };
  }
}

async function pathFacts(system: System, mounts: NodeMounts, path: string): Promise<PathFacts> {
  const answer = await system.answers(path);
  if ('errno' in answer) {
    const unasked = { real: path, existing: path, exists: false, directory: true, writable: answer, space: answer };
    return { path, mount: mounts.of(path), ...unasked, answers: false };
  }
  const resolved = await resolveExisting(system, path);
  const [kind, writable, space] = await Promise.all([
    system.kind(resolved.existing),
    system.writable(resolved.existing),
    system.space(resolved.real),
  ]);
  const room = 'value' in space ? space : await system.space(resolved.existing);
  const directory = (valueOf(kind) ?? 'directory') === 'directory';
  return { path, ...resolved, mount: mounts.of(resolved.real), writable, directory, space: room, answers: true };
}

async function gpuMemory(system: System): Promise<readonly number[] | undefined> {
  const text = valueOf(await system.run('nvidia-smi', ['--query-gpu=memory.total', '--format=csv,noheader,nounits']));
  const numbers = [...(text ?? '').matchAll(/^\s*(\d+)(?:\s*MiB)?\s*$/gm)].map(([, mib]) => Number(mib));
  return numbers.length > 0 ? numbers : undefined;
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildCufileConfig } from '../../../src/index.js';
import { temporaryDirectory } from '../../support/directories.js';
import { STOCK, wekaCufile } from './cufile-files.js';
import { type Tree, writeTree } from './trees.js';

const net = (name: string, type: number, state: string): Tree => ({
  [`sys/class/net/${name}/type`]: `${type}\n`,
  [`sys/class/net/${name}/operstate`]: `${state}\n`,
});
const ADDRESSES = ['ib0 10.0.0.7', 'ib1 10.0.0.8', 'ib2 10.0.0.9', 'eth0 10.1.0.7']
  .map((row, i) => `${i + 2}: ${row.replace(' ', '    inet ')}/16 scope global\n`)
  .join('');
/** Two InfiniBand interfaces that are up, one that is not, and an Ethernet one. */
const NODE: Tree = {
  ...net('ib0', 32, 'up'),
  ...net('ib1', 32, 'up'),
  ...net('ib2', 32, 'down'),
  ...net('eth0', 1, 'up'),
  'cmd/ip.txt': ADDRESSES,
};
const build = (files: Tree, options = {}) => buildCufileConfig({ root: writeTree(files), ...options });

describe('buildCufileConfig', () => {
  it('applies WEKA’s settings to the stock file, with this node’s RDMA addresses, and keeps the rest', async () => {
    const { from, before, text, changes, diff, warnings } = await build({ ...NODE, 'etc/cufile.json': STOCK });
    expect({ from, before, warnings }).toEqual({ from: '/etc/cufile.json', before: STOCK, warnings: [] });
    expect(text).toBe(wekaCufile(['10.0.0.7', '10.0.0.8']).replace('7","10', '7", "10'));
    expect(changes.map(({ setting, before: was, after }) => [setting, was, after])).toEqual([
      ['properties.rdma_dev_addr_list', [], ['10.0.0.7', '10.0.0.8']],
      ['execution.max_io_threads', 4, 0],
      ['fs.weka.rdma_write_support', false, true],
    ]);
    expect(diff).toContain(
      '-                    "rdma_write_support" : false\n+                    "rdma_write_support" : true\n',
    );
  });

  it('changes nothing in a file that is right, whatever the order of addresses', async () => {
    const file = wekaCufile(['10.0.0.8', '10.0.0.7']);
    expect(await build({ ...NODE, 'etc/cufile.json': file })).toMatchObject({ text: file, changes: [], diff: '' });
  });

  it('raises what is too low, keeps what is higher, and replaces what has the wrong type', async () => {
    const of = async (execution: string) => {
      const { changes } = await build({ ...NODE, 'etc/cufile.json': `{"execution": ${execution}}` });
      return changes.filter(({ setting }) => setting.startsWith('execution')).map(({ after }) => after);
    };
    const high = '{"max_io_threads": 0, "parallel_io": true, "max_io_queue_depth": 256, "max_request_parallelism": 8}';
    expect(await of(high)).toEqual([]);
    expect(await of('{"max_io_threads": "0", "parallel_io": 1, "max_io_queue_depth": 64}')).toEqual([0, true, 128, 4]);
  });

  it('turns compatibility mode off where it is strict, and on as WEKA does where it is not', async () => {
    const compat = async (value: boolean, strict: boolean) => {
      const file = STOCK.replace('"allow_compat_mode": true', `"allow_compat_mode": ${String(value)}`);
      return (await build({ ...NODE, 'etc/cufile.json': file }, { strict })).changes.find(({ setting }) =>
        setting.endsWith('allow_compat_mode'),
      )?.after;
    };
    expect(await compat(true, true)).toBe(false);
    expect(await compat(false, true)).toBeUndefined();
    expect(await compat(false, false)).toBe(true);
  });

  it('starts from the file that CUFILE_ENV_PATH_JSON names, through symlinks, or from the one given', async () => {
    const named: Tree = {
      'proc/self/environ': 'CUFILE_ENV_PATH_JSON=/opt/own.json\0',
      'opt/own.json': { to: '/opt/real.json' },
      'opt/real.json': '{"own": 1}',
      'etc/cufile.json': STOCK,
    };
    expect(await build({ ...NODE, ...named })).toMatchObject({ from: '/opt/own.json', before: '{"own": 1}' });
    const from = join(temporaryDirectory(), 'given.json');
    writeFileSync(from, '{"given": 1}');
    expect(await build({ ...NODE, ...named }, { from })).toMatchObject({ from, before: '{"given": 1}' });
  });

  it('makes one from nothing, and says so', async () => {
    const { from, text, warnings } = await build(NODE);
    expect({ from, warnings }).toEqual({ from: undefined, warnings: [expect.stringContaining('no cufile.json')] });
    expect(JSON.parse(text)).toEqual({
      execution: { max_io_threads: 0, parallel_io: true, max_io_queue_depth: 128, max_request_parallelism: 4 },
      properties: {
        rdma_dev_addr_list: ['10.0.0.7', '10.0.0.8'],
        allow_compat_mode: true,
        gds_rdma_write_support: true,
      },
      fs: { weka: { rdma_write_support: true } },
    });
  });

  it('leaves the RDMA list where the node’s addresses are none or not known, with a warning', async () => {
    const file = wekaCufile(['192.168.0.1']);
    const none = await build({ ...net('eth0', 1, 'up'), 'cmd/ip.txt': ADDRESSES, 'etc/cufile.json': file });
    expect(none).toMatchObject({ text: file, warnings: [expect.stringContaining('no InfiniBand interface is up')] });
    const unknown = await build({ ...net('ib0', 32, 'up'), 'etc/cufile.json': file });
    expect(unknown).toMatchObject({ text: file, warnings: [expect.stringContaining('addresses are not known')] });
  });

  it('refuses a file that does not parse with its place, and one that is not there', async () => {
    const broken = build({ ...NODE, 'etc/cufile.json': '{\n  "fs": {,}\n}' });
    await expect(broken).rejects.toMatchObject({
      code: 'KVO_CONFIG_PARSE',
      message: '/etc/cufile.json:2:10: ","; expected a key in double quotes',
    });
    await expect(build(NODE, { from: '/none/x.json' })).rejects.toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
  });
});

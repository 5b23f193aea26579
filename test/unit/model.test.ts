import { beforeAll, describe, expect, it } from 'vitest';

import { type Config, loadConfig } from '../../src/config/index.js';
import { Model, tagsOf } from '../../src/store/model.js';
import type { ModelDescription } from '../../src/store/types.js';
import { messageOf } from './expect-code.js';

const llama: ModelDescription = { modelName: 'meta-llama/L', kvDtype: 'torch.bfloat16', kvShape: [32, 2, 256, 8, 128] };
const deepseek: ModelDescription = { modelName: 'ds', kvDtype: 'BF16', kvShape: [61, 1, 256, 1, 576], useMla: true };

let config: Config;
beforeAll(async () => {
  config = await loadConfig({ env: {} });
});

describe('a model', () => {
  it('has the chunks of real ones: Llama-3.1-8B, Llama-3.3-70B FP8 on four ranks, DeepSeek-V3', () => {
    const l70: ModelDescription = {
      modelName: 'l',
      kvDtype: 'fp8_e4m3fn',
      kvShape: [80, 2, 256, 2, 128],
      worldSize: 4,
    };
    expect(new Model(llama, config).tensor(256)).toEqual({
      dtype: 'BF16',
      shape: [2, 32, 256, 1024],
      format: 1,
      bytes: 33_554_432,
    });
    expect(new Model(l70, config).tensor(256).bytes).toBe(10 * 2 ** 20);
    expect(new Model(deepseek, config).tensor(256)).toEqual({
      dtype: 'BF16',
      shape: [1, 61, 256, 576],
      format: 6,
      bytes: 17_989_632,
    });
  });

  it('has shorter chunks in proportion', () => {
    const model = new Model(llama, config);
    expect(model.tensor(1)).toMatchObject({ shape: [2, 32, 1, 1024], bytes: 33_554_432 / 256 });
    expect(model.tensor(1)).toBe(model.tensor(1));
  });

  it('names itself in keys: one rank of one unless told otherwise, world size 1 with MLA', () => {
    expect(new Model(llama, config).identity).toEqual({
      modelName: 'meta-llama/L',
      worldSize: 1,
      workerId: 0,
      dtype: 'bfloat16',
    });
    expect(new Model({ ...llama, worldSize: 4, workerId: 3 }, config).identity).toMatchObject({
      worldSize: 4,
      workerId: 3,
    });
    expect(new Model({ ...deepseek, worldSize: 4 }, config).identity).toMatchObject({ worldSize: 1, workerId: 0 });
  });

  it('tells the remedy in what it refuses', () => {
    expect(
      messageOf('KVO_MODEL_INVALID', () => new Model({ ...llama, kvShape: [32, 2, 128, 8, 128] }, config)),
    ).toMatch(/kvShape\[2\] is 128, but chunk_size is 256/);
    expect(
      messageOf('KVO_MODEL_INVALID', () => new Model({ ...llama, kvShape: [32, 1, 256, 8, 128] }, config)),
    ).toContain('useMla');
    expect(messageOf('KVO_DTYPE_UNKNOWN', () => new Model({ ...llama, kvDtype: 'bfloat61' }, config))).toContain(
      'bfloat16',
    );
  });
});

describe('who stores', () => {
  it.each<[string, Partial<ModelDescription>, boolean | undefined, boolean]>([
    ['every rank of a model without MLA', { worldSize: 2, workerId: 1 }, undefined, true],
    ['even where save_only_first_rank is set, which means nothing then', { worldSize: 2, workerId: 1 }, true, true],
    ['worker 0 of one with MLA', { ...deepseek, worldSize: 2 }, undefined, true],
    ['not its worker 1', { ...deepseek, worldSize: 2, workerId: 1 }, undefined, false],
    ['nor where save_only_first_rank is set', { ...deepseek, worldSize: 2, workerId: 1 }, true, false],
    ['but where it is false', { ...deepseek, worldSize: 2, workerId: 1 }, false, true],
  ])('%s', (_, description, saveOnlyFirstRank, stores) => {
    const model = new Model({ ...llama, ...description }, { ...config, saveOnlyFirstRank });
    expect(model.storesNothing === undefined).toBe(stores);
  });
});

describe('tags', () => {
  it('keep their order', () => {
    expect(tagsOf({ b: '1', a: '2' })).toEqual([
      ['b', '1'],
      ['a', '2'],
    ]);
    expect(tagsOf(undefined)).toEqual([]);
  });

  it('must be text', () => {
    expect(messageOf('KVO_ARGUMENT_INVALID', () => tagsOf({ a: 1 as unknown as string }))).toContain('tag a');
  });
});

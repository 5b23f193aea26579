/** Our own settings. */
import { type Judge, worst } from '../check.js';

export const judgeConfig: Judge = ({ config, configProblem, gpu }) => {
  const where = 'kv-offload config';
  if (config === undefined)
    return { status: 'fail', seen: configProblem ?? 'not read', where, fix: 'kv-offload config' };
  const { paths, bufferMiB, requireGds } = config;
  const required = requireGds ? ', require_gds' : '';
  const seen = `${paths.join(', ')}; buffer ${bufferMiB} MiB; device ${gpu.device}, transport ${gpu.transport}${required}`;
  const warnings = config.warnings.map((text) => ({
    status: 'warn' as const,
    seen: text,
    where,
    fix: 'kv-offload config',
  }));
  return worst([{ status: 'ok', seen, where }, ...warnings]);
};

/** RDMA interfaces against cuFile's list, and what gdscheck says of both. */
import { type Finding, type Judge, onWeka, worst } from '../check.js';
import { RDMA_LIST, settingOf } from '../cufile-settings.js';
import { installPackage } from '../packages.js';
import { type Gdscheck, usesDmaBuf } from '../sources/gdscheck.js';
import { isAbsent, reasonOf } from '../system.js';

const NET = '/sys/class/net';

export const judgeRdma: Judge = (facts) => {
  const { interfaces } = facts;
  const off = onWeka(facts);
  if (interfaces === undefined) return { status: 'unknown', seen: 'interfaces cannot be listed', where: NET };
  const infiniband = interfaces.filter((one) => one.infiniband);
  const up = infiniband.filter((one) => one.up);
  const roce = interfaces.filter((one) => one.roce && one.up).map(({ name }) => name);
  const listed = listOf(facts.cufileJson.json);
  const where = `${NET}, ${facts.cufileJson.path}`;
  if (interfaces.some(({ addresses }) => addresses === undefined)) {
    return { status: 'unknown', seen: `InfiniBand up: ${names(up)}; addresses not told`, where };
  }
  const own = interfaces.flatMap(({ addresses }) => addresses ?? []);
  const present = listed.filter((address) => own.includes(address));
  if (up.length === 0 && present.length === 0) {
    const down = infiniband.length > 0 ? ` (down: ${names(infiniband)})` : '';
    const also =
      roce.length > 0 ? `; ${roce.join(', ')} can RDMA over Ethernet, which NVIDIA does not name for WekaFS` : '';
    const first = infiniband[0]?.name ?? 'ib0';
    const fix = `sudo ip link set ${first} up && sudo ip addr add ADDRESS/PREFIX dev ${first}`;
    return { status: off, seen: `no InfiniBand interface is up${down}${also}`, where, fix };
  }
  const missing = up.filter(({ addresses = [] }) => !addresses.some((address) => listed.includes(address)));
  const strangers = listed.filter((address) => !own.includes(address));
  const fix = 'kv-offload cufile-json --check\n# shows the list as it should be; --out FILE writes it';
  const findings: Finding[] = [{ status: 'ok', seen: `${present.join(', ')} of this node`, where }];
  if (present.length === 0) {
    findings.push({ status: off, seen: `no address of this node is in ${RDMA_LIST}`, where, fix });
  }
  if (missing.length > 0) {
    const seen = `up but not in ${RDMA_LIST}: ${missing.map((one) => `${one.name} ${one.addresses?.join(' ') ?? ''}`.trim()).join(', ')}`;
    findings.push({ status: 'warn', seen, where, fix });
  }
  if (strangers.length > 0) {
    findings.push({
      status: 'warn',
      seen: `in ${RDMA_LIST} but not of this node: ${strangers.join(', ')}`,
      where,
      fix,
    });
  }
  const ethernet = interfaces.filter(
    ({ infiniband: is, addresses = [] }) => !is && addresses.some((one) => present.includes(one)),
  );
  if (ethernet.length > 0 && up.length === 0) {
    const seen = `${names(ethernet)}: RDMA over Ethernet, which NVIDIA does not name for WekaFS`;
    findings.push({ status: 'warn', seen, where });
  }
  return worst(findings);
};

export const judgeGdscheck: Judge = (facts) => {
  const { gdscheck } = facts;
  if ('errno' in gdscheck) {
    const where = '/usr/local/cuda*/gds/tools/gdscheck -p';
    if (!isAbsent(gdscheck))
      return { status: 'unknown', seen: gdscheck.errno === 'UNKNOWN' ? 'not run' : reasonOf(gdscheck), where };
    const fix = installPackage('gds-tools', facts);
    return { status: 'unknown', seen: 'not installed', where, fix };
  }
  const off = onWeka(facts);
  const where = `${gdscheck.value.program} -p`;
  return worst(judged(gdscheck.value, off).map((one) => ({ ...one, where })));
};

type Part = Omit<Finding, 'where'>;

function judged(gdscheck: Gdscheck, off: 'fail' | 'warn'): Part[] {
  const { weka, iommu } = gdscheck;
  if (weka === undefined) return [{ status: 'unknown', seen: 'its output has no line about WekaFS' }];
  const findings: Part[] = [{ status: 'ok', seen: `WekaFS: ${weka}` }];
  const ways = weka.toLowerCase().split(/[\s,]+/);
  if (/^unsupported|^not supported/i.test(weka)) {
    findings.push({ status: off, seen: `WekaFS: ${weka}`, fix: 'kv-offload cufile-json --check && kv-offload doctor' });
  } else if (ways.every((way) => way === 'compat')) {
    const seen = `WekaFS: ${weka}: through host memory only`;
    findings.push({ status: off, seen, fix: 'kv-offload cufile-json --check' });
  } else if (
    !ways.includes('supported') &&
    !ways.some((way) => ['dmabuf', 'nvfs', 'nvidia-fs', 'p2pdma'].includes(way))
  ) {
    findings.push({ status: 'unknown', seen: `WekaFS: ${weka}: a word that is not known` });
  }
  findings.push(
    ...expected(
      'PeerDirect',
      gdscheck.peerDirect,
      /^enabled/i,
      usesDmaBuf(gdscheck),
      off,
      'sudo modprobe nvidia_peermem',
    ),
  );
  findings.push(
    ...expected('rdma library', gdscheck.rdmaLibrary, /^loaded/i, false, off, 'ldconfig -p | grep libcufile_rdma'),
  );
  findings.push(
    ...expected('rdma devices', gdscheck.rdmaDevices, /^configured/i, false, off, 'kv-offload cufile-json --check'),
  );
  if (iommu !== undefined && !/^disabled/i.test(iommu)) {
    const fix = '# add iommu=off (Intel: intel_iommu=off) to the kernel’s command line, and reboot';
    findings.push({ status: 'warn', seen: `IOMMU: ${iommu}: transfers between devices are slower, or refused`, fix });
  }
  return findings;
}

/** A line that must say so, where it is there at all. */
function expected(
  name: string,
  value: string | undefined,
  good: RegExp,
  excused: boolean,
  off: 'fail' | 'warn',
  fix: string,
): Part[] {
  if (value === undefined || good.test(value) || excused) return [];
  return [{ status: off, seen: `${name}: ${value}`, fix }];
}

function listOf(json: unknown): string[] {
  const list = settingOf(json, RDMA_LIST.split('.'));
  return Array.isArray(list) ? list.filter((item): item is string => typeof item === 'string') : [];
}

function names(interfaces: readonly { readonly name: string }[]): string {
  return interfaces.length === 0 ? 'none' : interfaces.map(({ name }) => name).join(', ');
}

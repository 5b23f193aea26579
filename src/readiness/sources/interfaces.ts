/** Network interfaces of a node, as far as RDMA cares. */
import { type System, isAbsent, valueOf } from '../system.js';

const NET = '/sys/class/net';
/** ARPHRD_INFINIBAND of the kernel's if_arp.h. */
const INFINIBAND = '32';

export interface NodeInterface {
  readonly name: string;
  readonly infiniband: boolean;
  /** An Ethernet interface whose adapter does RDMA too (RoCE). */
  readonly roce: boolean;
  readonly up: boolean;
  /** IPv4; undefined where a recorded tree doesn't tell. */
  readonly addresses: readonly string[] | undefined;
}

/** All of them, by name; undefined where the system doesn't list them. */
export async function readInterfaces(system: System): Promise<readonly NodeInterface[] | undefined> {
  const names = valueOf(await system.list(NET));
  if (names === undefined) return undefined;
  const addresses = valueOf(await system.addresses());
  return Promise.all(
    names.map(async (name): Promise<NodeInterface> => {
      const [type, state, rdma] = await Promise.all([
        system.readText(`${NET}/${name}/type`),
        system.readText(`${NET}/${name}/operstate`),
        system.list(`${NET}/${name}/device/infiniband`),
      ]);
      const infiniband = valueOf(type)?.trim() === INFINIBAND;
      return {
        name,
        infiniband,
        roce: !infiniband && !isAbsent(rdma) && 'value' in rdma,
        up: valueOf(state)?.trim() === 'up',
        addresses: addresses?.filter((row) => row.name === name).map(({ address }) => address),
      };
    }),
  );
}

/** What `rdma_dev_addr_list` should hold: the IPv4 addresses of every InfiniBand interface that is up. */
export function rdmaAddresses(interfaces: readonly NodeInterface[]): string[] {
  return interfaces.filter(({ infiniband, up }) => infiniband && up).flatMap(({ addresses }) => addresses ?? []);
}

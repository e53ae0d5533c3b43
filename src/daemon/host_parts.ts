/**
 * Which of the host's CPUs and NUMA nodes a container has, and where the host keeps their files. No
 * container stands for the host, which has them all.
 */
import type { Container } from "../caller/container.ts";
import { parseCpuList } from "../host/cpu_list.ts";
import type { Host } from "../machine/host.ts";
import type { Machine } from "../machine/machine.ts";
import { nodeCpus, nodesOf } from "../machine/nodes.ts";
import type { Item, Presence } from "../views/tree.ts";

export class HostParts {
  readonly #host: Host;
  readonly #machineOf: (container: Container) => Machine;

  constructor(host: Host, machineOf: (container: Container) => Machine) {
    this.#host = host;
    this.#machineOf = machineOf;
  }

  /** The path of what `item` shows; `undefined` where that is a CPU that the container has not. */
  pathOf(item: Item, whose: Container | undefined): string | undefined {
    const { sysRoot } = this.#host;
    if (item.cpu === undefined || whose === undefined) return `${sysRoot}${item.path.slice(3)}`;
    const hostCpu = this.#machineOf(whose).topology().hostCpus[item.cpu];
    if (hostCpu === undefined) return undefined;
    return `${sysRoot}/devices/system/cpu/cpu${hostCpu}/${item.name}`;
  }

  /** How many CPUs and which nodes there are. */
  presence(whose: Container | undefined): Presence {
    if (whose !== undefined) {
      const machine = this.#machineOf(whose);
      return { cpuCount: machine.topology().hostCpus.length, nodes: nodesOf(machine) };
    }
    const nodes = this.#host.sysText("devices/system/node/online");
    return {
      cpuCount: this.#host.onlineCpus().length,
      nodes: nodes === undefined ? [] : parseCpuList(nodes),
    };
  }

  /** CPUs of a node, by their numbers in the container. */
  nodeCpus(whose: Container | undefined, node: number): number[] {
    if (whose !== undefined) return nodeCpus(this.#machineOf(whose), node);
    const text = this.#host.sysText(`devices/system/node/node${node}/cpulist`);
    return text === undefined ? [] : parseCpuList(text);
  }
}

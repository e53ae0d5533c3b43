/**
 * What the main thread does besides keeping its workers: everything that is not needed to answer the
 * first request. Loaded while the workers start, and all of it at once: after an upgrade of the
 * installed files nothing of this version can be loaded any more.
 */
import { rmSync } from "node:fs";
import { DeviceChannel } from "../fuse/channel.ts";
import { Notifier } from "../fuse/notify.ts";
import { hasFlag, InitFlag } from "../fuse/wire/abi.ts";
import type { Logger } from "../sys/log.ts";
import { MNT, umount } from "../sys/native.ts";
import type { DaemonConfig } from "./config.ts";
import { ControlServer } from "./control.ts";
import { Counters } from "./counters.ts";
import type { HostNamespace } from "./host_namespace.ts";
import { watchHolder } from "./holder_watch.ts";
import { startLoadSampling } from "./load_sampling.ts";
import { metricsText } from "./metrics.ts";
import { MOUNT_TYPE, mountTypeAt } from "./mountpoint.ts";
import { negotiatedOf } from "./negotiated.ts";
import { CONNECTIONS } from "./slots.ts";
import type { SharedState } from "./state.ts";
import { statusOf } from "./status.ts";

export class Services {
  readonly #config: DaemonConfig;
  readonly #log: Logger;
  readonly #host: HostNamespace;
  readonly #control: ControlServer;

  /** @param workers counts the threads that serve now */
  static async begin(
    config: DaemonConfig,
    state: SharedState,
    host: HostNamespace,
    log: Logger,
    workers: () => number,
  ): Promise<Services> {
    const services = new Services(config, state, host, log, workers);
    if (config.view.psiPoll || config.view.cgroupTree) {
      const { watchEvents } = await import("./trigger_watch.ts");
      watchEvents(config, state, host, log);
    }
    if (config.metrics !== "") {
      // The only part that needs an HTTP server, which is the largest of them.
      const { serveMetrics } = await import("./metrics_server.ts");
      const counters = new Counters(state);
      serveMetrics(config, host, log, () => metricsText(state, counters, workers()));
    }
    return services;
  }

  private constructor(
    config: DaemonConfig,
    state: SharedState,
    host: HostNamespace,
    log: Logger,
    workers: () => number,
  ) {
    this.#config = config;
    this.#host = host;
    this.#log = log;
    const counters = new Counters(state);
    this.#control = new ControlServer(config, host, log, {
      status: () => statusOf(config, state, counters, workers()),
    });
    watchHolder(config, host, log, process.ppid);
    if (config.view.loadavg) startLoadSampling(config.view, state, log);
  }

  /** Takes the mount and the sockets away. */
  end(): void {
    this.#control.remove();
    const { metrics } = this.#config;
    if (metrics.startsWith("/")) this.#host.inside(() => rmSync(metrics, { force: true }));
    const { mountpoint } = this.#config;
    try {
      this.#host.inside(() => {
        // Another's mount on top of ours is not ours to take away.
        if (mountTypeAt(mountpoint) === MOUNT_TYPE) umount(mountpoint, MNT.DETACH);
      });
    } catch (error) {
      this.#log.warn("cannot unmount", { cause: String(error) });
    }
  }
}

/**
 * Has the kernel send again what a dead server had taken. The slots hold all of that already; this
 * is the second net, where the kernel has it (6.9): it costs one write.
 */
export function resend(config: DaemonConfig, state: SharedState, log: Logger): void {
  for (const connection of CONNECTIONS) {
    const agreed = negotiatedOf(state, connection);
    if (!agreed || !hasFlag(agreed.flags, InitFlag.HAS_RESEND)) continue;
    const fd = connection === "main" ? config.fuseFd : config.cachedFd;
    const refused = new Notifier(new DeviceChannel(fd)).resend();
    if (refused === 0) state.add("resends");
    else log.warn("the kernel refused to resend", { errno: -refused });
  }
}

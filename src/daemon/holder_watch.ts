/**
 * Notices that the holder has died and starts another. The mount is kept alive by our own descriptors
 * meanwhile. The new holder starts a new server, which relieves this one.
 */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import type { Logger } from "../sys/log.ts";
import { spares } from "../sys/spares.ts";
import { CONFIG_VARIABLE, type DaemonConfig } from "./config.ts";
import type { HostNamespace } from "./host_namespace.ts";

/** How often the parent's id is looked at. */
const LOOK_MS = 250;
/**
 * Time left to whoever started us (systemd, say) to start lxcfs again, which then adopts this server
 * and is its supervised main process; only after that we help ourselves.
 */
const SUPERVISOR_MS = 1500;
/**
 * The same where systemd is known to watch the holder: it does start another, though a machine under
 * load may take long for it. Two holders at once would race for the pidfile, and if ours won, systemd
 * would take its own start for failed.
 */
const SYSTEMD_MS = 30_000;
/** Descriptors that starting a process takes for a while. */
const HOLDER_DESCRIPTORS = 8;
/** Time until another try, should the new holder fail. */
const RETRY_MS = 10_000;

/** @param holderPid the parent we were started by */
export function watchHolder(
  config: DaemonConfig,
  host: HostNamespace,
  log: Logger,
  holderPid: number,
): void {
  const timer = setInterval(() => {
    if (process.ppid === holderPid) return;
    clearInterval(timer);
    log.warn("the holder died; the mount is kept, another is started", { holderPid });
    // systemd.exec(5): set in what systemd starts itself, and inherited from there
    const supervised = process.env["SYSTEMD_EXEC_PID"] === String(holderPid);
    const waitMs = supervised ? SYSTEMD_MS : SUPERVISOR_MS;
    setTimeout(() => startHolder(config, host, log), waitMs).unref();
  }, LOOK_MS);
  timer.unref();
}

function startHolder(config: DaemonConfig, host: HostNamespace, log: Logger): void {
  const stdio = Array<"inherit" | number>(3).fill("inherit");
  const program = resolve(process.argv[1] ?? "");
  const fds = { fuseFd: 3, stateFd: 4, cachedFd: config.cachedFd < 0 ? -1 : 5, lockFd: -1 };
  const handed = [config.fuseFd, config.stateFd, ...(config.cachedFd < 0 ? [] : [config.cachedFd])];
  spares.give(HOLDER_DESCRIPTORS);
  const child = host.inside(() =>
    spawn(process.execPath, [program, "hold"], {
      stdio: [...stdio, ...handed],
      detached: true,
      env: { ...process.env, [CONFIG_VARIABLE]: JSON.stringify({ ...config, ...fds }) },
    }),
  );
  const again = (): void => void setTimeout(() => startHolder(config, host, log), RETRY_MS);
  child.once("error", (error) => {
    log.error("cannot start a holder", { cause: error.message });
    // One that was never started does not end.
    if (child.pid === undefined) again();
  });
  child.once("exit", again);
}

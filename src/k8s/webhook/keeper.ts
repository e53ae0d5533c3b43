/**
 * Keeps the webhook's certificate good: every few seconds the Secret and the configuration are
 * looked at, and whatever is missing or due is done. Each step is safe to lose, to repeat, and to
 * run in several replicas at once.
 */
import { readFileSync, statSync } from "node:fs";
import type { Logger } from "../../sys/log.ts";
import type { KeyedCertificate } from "./certificates.ts";
import type { RotationTimes } from "./rotation.ts";
import { bundleOf, firstState, nextState } from "./rotation.ts";
import type { BundlePublisher, SecretStore } from "./secret.ts";

/** Who provides the certificate that the server shows. */
export interface CertificateKeeper {
  /** Looks once, acts on what it finds. @throws what kept it from that */
  tick(): Promise<void>;
  /** Whether the API server can be expected to trust this server. */
  readonly ready: boolean;
}

/** What a keeper of any kind is given. */
export interface KeeperOptions {
  /** Called with every new certificate. */
  onCertificate(serving: KeyedCertificate): void;
  log: Logger;
}

/** What the keeper of self-made certificates is given besides. */
export interface SelfSignedOptions extends KeeperOptions {
  store: SecretStore;
  publisher: BundlePublisher;
  dnsNames: readonly string[];
  times: RotationTimes;
  nowMs(): number;
}

/** A lost race or a finished step is followed by another look, but never by endless ones. */
const MAX_STEPS_A_TICK = 4;

/** Certificates made and rotated by the webhook itself. */
export class SelfSignedKeeper implements CertificateKeeper {
  readonly #options: SelfSignedOptions;
  #shown = "";
  #bundle = "";
  #publishedSinceMs: number | undefined;

  constructor(options: SelfSignedOptions) {
    this.#options = options;
  }

  get ready(): boolean {
    return this.#shown !== "" && this.#publishedSinceMs !== undefined;
  }

  async tick(): Promise<void> {
    for (let step = 0; step < MAX_STEPS_A_TICK; step++) if (!(await this.#step())) return;
  }

  /** @returns whether to look again at once */
  async #step(): Promise<boolean> {
    const { store, publisher, dnsNames, times, log } = this.#options;
    const stored = await store.read();
    const nowMs = this.#options.nowMs();
    if (!stored.state) {
      log.info("making the first CA and certificate", { names: dnsNames.join(",") });
      await store.write(stored, firstState(dnsNames, nowMs, times));
      return true;
    }
    this.#show(stored.state.serving);
    if (!(await this.#publish(publisher, bundleOf(stored.state), nowMs))) return true;
    const next = nextState(stored.state, dnsNames, nowMs, this.#publishedSinceMs, times);
    if (!next) return false;
    const won = await store.write(stored, next);
    if (won) {
      log.info("certificates changed", {
        ca: next.ca.cert !== stored.state.ca.cert,
        serving: next.serving.cert !== stored.state.serving.cert,
        nextCa: next.nextCa !== undefined,
        previousCa: next.previousCa !== undefined,
      });
    }
    return true;
  }

  /** @returns false if someone else was quicker, and it is to be looked at again */
  async #publish(publisher: BundlePublisher, bundle: string, nowMs: number): Promise<boolean> {
    if (bundle !== this.#bundle) this.#publishedSinceMs = undefined;
    this.#bundle = bundle;
    const outcome = await publisher.publish(bundle);
    if (outcome === "lost") return false;
    if (outcome === "put") {
      this.#options.log.info("CA bundle put into the webhook's configuration");
      this.#publishedSinceMs = nowMs;
    }
    this.#publishedSinceMs ??= nowMs;
    return true;
  }

  #show(serving: KeyedCertificate): void {
    if (serving.cert === this.#shown) return;
    this.#options.onCertificate(serving);
    this.#shown = serving.cert;
  }
}

/**
 * Certificates that someone else puts into a directory (cert-manager, or the user by hand) as
 * `tls.crt` and `tls.key`. Asked for changes rather than watched: kubelet swaps a symlink.
 */
export class FileKeeper implements CertificateKeeper {
  readonly #dir: string;
  readonly #options: KeeperOptions;
  #seen = "";

  constructor(dir: string, options: KeeperOptions) {
    this.#dir = dir;
    this.#options = options;
  }

  get ready(): boolean {
    return this.#seen !== "";
  }

  async tick(): Promise<void> {
    const [certPath, keyPath] = [`${this.#dir}/tls.crt`, `${this.#dir}/tls.key`];
    const [certStat, keyStat] = [statSync(certPath), statSync(keyPath)];
    const seen = `${certStat.ino}:${certStat.mtimeMs}:${keyStat.ino}:${keyStat.mtimeMs}`;
    if (seen === this.#seen) return;
    const serving = { cert: readFileSync(certPath, "utf8"), key: readFileSync(keyPath, "utf8") };
    this.#options.onCertificate(serving);
    this.#seen = seen;
  }
}

/** The webhook's counters in the Prometheus text format (version 0.0.4). */
import { lifetimeOf } from "./certificates.ts";

/** Upper bounds in seconds. The API server's own limit for us is 5 s at most. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

export class WebhookMetrics {
  tlsErrors = 0;
  readonly #results = new Map<string, number>();
  readonly #buckets: number[] = BUCKETS.map(() => 0);
  #sumSeconds = 0;
  #count = 0;
  #expirySeconds = 0;

  /** Counts one review by what became of it. */
  count(result: string): void {
    this.#results.set(result, (this.#results.get(result) ?? 0) + 1);
  }

  /** Counts one answer by the time it took. */
  observe(seconds: number): void {
    this.#count++;
    this.#sumSeconds += seconds;
    const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
  }

  setCertificate(pem: string): void {
    this.#expirySeconds = lifetimeOf(pem).untilMs / 1000;
  }

  text(): string {
    const lines = [
      "# HELP lxcfs_webhook_reviews_total AdmissionReviews by what became of them.",
      "# TYPE lxcfs_webhook_reviews_total counter",
    ];
    for (const [result, count] of this.#results)
      lines.push(`lxcfs_webhook_reviews_total{result="${result}"} ${count}`);
    lines.push(
      "# HELP lxcfs_webhook_review_seconds Time from the first byte to the answer.",
      "# TYPE lxcfs_webhook_review_seconds histogram",
    );
    let below = 0;
    for (const [index, bound] of BUCKETS.entries()) {
      below += this.#buckets[index] ?? 0;
      lines.push(`lxcfs_webhook_review_seconds_bucket{le="${bound}"} ${below}`);
    }
    lines.push(
      `lxcfs_webhook_review_seconds_bucket{le="+Inf"} ${this.#count}`,
      `lxcfs_webhook_review_seconds_sum ${this.#sumSeconds}`,
      `lxcfs_webhook_review_seconds_count ${this.#count}`,
      "# HELP lxcfs_webhook_tls_errors_total Connections that failed in their TLS handshake.",
      "# TYPE lxcfs_webhook_tls_errors_total counter",
      `lxcfs_webhook_tls_errors_total ${this.tlsErrors}`,
      "# HELP lxcfs_webhook_certificate_expiry_seconds When the serving certificate ends, in Unix time.",
      "# TYPE lxcfs_webhook_certificate_expiry_seconds gauge",
      `lxcfs_webhook_certificate_expiry_seconds ${this.#expirySeconds}`,
    );
    return `${lines.join("\n")}\n`;
  }
}

/**
 * Who is asking, within one request: it is asked for twice, for whose turn it is and for what is
 * shown, and is the same both times, whatever the freshness bound. Without that a read in one of many
 * containers would cost a second look at /proc.
 */
import type { Container } from "./container.ts";
import type { CallerResolver } from "./resolver.ts";

export class RequestCaller {
  readonly #resolver: Pick<CallerResolver, "resolve">;
  #known = false;
  #tid = 0;
  #container: Container | undefined;

  constructor(resolver: Pick<CallerResolver, "resolve">) {
    this.#resolver = resolver;
  }

  /** Before each request: nothing is known of its caller, even if it is the last one's. */
  begin(): void {
    this.#known = false;
  }

  /** As CallerResolver's. */
  resolve(tid: number): Container | undefined {
    if (this.#known && this.#tid === tid) return this.#container;
    this.#container = this.#resolver.resolve(tid);
    this.#tid = tid;
    this.#known = true;
    return this.#container;
  }
}

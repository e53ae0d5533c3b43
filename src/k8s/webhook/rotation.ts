/**
 * When certificates are made, changed and dropped. Pure: the state of the Secret and the clock in,
 * the next state out. Many webhook replicas run this on one Secret; the Secret's resourceVersion
 * decides whose step counts.
 *
 * A CA is replaced in three steps, so that at no moment a replica serves a certificate that the API
 * server does not trust:
 *   1. `next` is made and published in the bundle beside `current`;
 *   2. once the bundle has been in place for a settle time, `next` becomes `current`, `current`
 *      becomes `previous`, and a serving certificate of the new one is made;
 *   3. once every replica must have loaded that, `previous` leaves the bundle.
 */
import type { KeyedCertificate } from "./certificates.ts";
import { isServingFor, lifetimeOf, makeCa, makeServing } from "./certificates.ts";

/** What the Secret holds. */
export interface CertificateState {
  ca: KeyedCertificate;
  serving: KeyedCertificate;
  /** A CA that is published and not yet used. */
  nextCa?: KeyedCertificate;
  /** PEM of a CA that is no longer used and still published. */
  previousCa?: string;
  /** When the last step of a CA replacement was taken, milliseconds since the epoch. */
  steppedMs: number;
}

/** Lifetimes, all in milliseconds. */
export interface RotationTimes {
  caMs: number;
  servingMs: number;
  /** How long a published bundle or a new certificate takes to reach everyone. */
  settleMs: number;
}

const DAY_MS = 86_400_000;

/** A CA for a year, serving certificates for a quarter, two minutes to let a change spread. */
export const DEFAULT_TIMES: RotationTimes = {
  caMs: 365 * DAY_MS,
  servingMs: 90 * DAY_MS,
  settleMs: 120_000,
};

/** Certificates are valid from a little in the past: clocks of nodes differ. */
const BACKDATE_MS = 300_000;

/** The first state, where there is none or what is there cannot be used. */
export function firstState(
  dnsNames: readonly string[],
  nowMs: number,
  times: RotationTimes,
): CertificateState {
  const ca = makeCa(span(nowMs, times.caMs));
  return { ca, serving: makeServing(ca, dnsNames, span(nowMs, times.servingMs)), steppedMs: nowMs };
}

/**
 * The next state, or `undefined` if nothing is to be done now.
 * @param publishedSinceMs since when the configuration has been seen to carry the bundle of
 *   `state`; `undefined` if it does not
 */
export function nextState(
  state: CertificateState,
  dnsNames: readonly string[],
  nowMs: number,
  publishedSinceMs: number | undefined,
  times: RotationTimes,
): CertificateState | undefined {
  const settled =
    publishedSinceMs !== undefined &&
    nowMs - Math.max(state.steppedMs, publishedSinceMs) >= times.settleMs;
  if (state.nextCa && settled) {
    const ca = state.nextCa;
    const serving = makeServing(ca, dnsNames, span(nowMs, times.servingMs));
    return { ca, serving, previousCa: state.ca.cert, steppedMs: nowMs };
  }
  if (!state.nextCa && isDue(state.ca.cert, nowMs)) {
    // Past its end nothing trusts the old CA any more: there is nothing to overlap with.
    if (nowMs >= lifetimeOf(state.ca.cert).untilMs) return firstState(dnsNames, nowMs, times);
    return { ...state, nextCa: makeCa(span(nowMs, times.caMs)), steppedMs: nowMs };
  }
  if (isDue(state.serving.cert, nowMs) || !isServingFor(state.serving, state.ca.cert, dnsNames)) {
    return { ...state, serving: makeServing(state.ca, dnsNames, span(nowMs, times.servingMs)) };
  }
  if (state.previousCa && settled) {
    const { previousCa: _, ...rest } = state;
    return { ...rest, steppedMs: nowMs };
  }
  return undefined;
}

/** The CAs the API server has to trust, as one PEM text. */
export function bundleOf(state: CertificateState): string {
  return [state.ca.cert, state.nextCa?.cert, state.previousCa].filter(Boolean).join("");
}

/** Two thirds of a lifetime gone: time for a new one. */
function isDue(pem: string, nowMs: number): boolean {
  const { fromMs, untilMs } = lifetimeOf(pem);
  return nowMs >= fromMs + ((untilMs - fromMs) * 2) / 3;
}

function span(nowMs: number, lengthMs: number) {
  // Short-lived certificates (in tests) must not be due at birth.
  const backdateMs = Math.min(BACKDATE_MS, lengthMs / 10);
  return { fromMs: nowMs - backdateMs, untilMs: nowMs + lengthMs };
}

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import { isServingFor, lifetimeOf, makeCa, makeServing } from "./certificates.ts";
import type { CertificateState } from "./rotation.ts";
import { bundleOf, firstState, nextState } from "./rotation.ts";
import { decodeState, encodeState } from "./secret.ts";

const NAMES = ["lxcfs-webhook.lxcfs.svc", "lxcfs-webhook.lxcfs.svc.cluster.local"];
const TIMES = { caMs: 900_000, servingMs: 300_000, settleMs: 10_000 };
const START_MS = Date.parse("2026-01-01T00:00:00Z");

describe("certificates", () => {
  const lifetime = { fromMs: START_MS, untilMs: START_MS + 1000_000 };
  const ca = makeCa(lifetime);
  const serving = makeServing(ca, NAMES, lifetime);

  it("are what they say, as node:crypto reads them", () => {
    const leaf = new X509Certificate(serving.cert);
    assert.equal(leaf.ca, false);
    assert.equal(new X509Certificate(ca.cert).ca, true);
    assert.equal(leaf.subjectAltName, NAMES.map((name) => `DNS:${name}`).join(", "));
    assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
    assert.deepEqual(lifetimeOf(serving.cert), lifetime);
    assert.ok(leaf.checkIssued(new X509Certificate(ca.cert)));
  });

  it("of another CA, for another name or with another key do not pass", () => {
    assert.ok(isServingFor(serving, ca.cert, NAMES));
    assert.ok(!isServingFor(serving, makeCa(lifetime).cert, NAMES));
    assert.ok(!isServingFor(serving, ca.cert, ["other.svc"]));
    assert.ok(!isServingFor({ ...serving, key: ca.key }, ca.cert, NAMES));
    assert.ok(!isServingFor({ cert: "no PEM", key: "" }, ca.cert, NAMES));
  });
});

describe("rotation", () => {
  it("keeps what is good", () => {
    const state = firstState(NAMES, START_MS, TIMES);
    assert.equal(nextState(state, NAMES, START_MS + 1000, START_MS, TIMES), undefined);
  });

  it("renews the serving certificate at two thirds, under the same CA", () => {
    const state = firstState(NAMES, START_MS, TIMES);
    const next = nextState(state, NAMES, START_MS + 200_000, START_MS, TIMES);
    assert.equal(next?.ca.cert, state.ca.cert);
    assert.notEqual(next?.serving.cert, state.serving.cert);
  });

  it("makes a new serving certificate for a new name", () => {
    const state = firstState(["old.svc"], START_MS, TIMES);
    const next = nextState(state, NAMES, START_MS + 1, START_MS, TIMES);
    assert.ok(next && isServingFor(next.serving, state.ca.cert, NAMES));
  });

  it("does not use a CA before its bundle has been in place for the settle time", () => {
    const state = firstState(NAMES, START_MS, TIMES);
    const dueMs = START_MS + 600_000;
    const published = nextState(state, NAMES, dueMs, START_MS, TIMES);
    assert.ok(published?.nextCa);
    const settle = (nowMs: number, sinceMs: number | undefined) =>
      nextState({ ...published, serving: fresh(published, nowMs) }, NAMES, nowMs, sinceMs, TIMES);
    assert.equal(settle(dueMs + 20_000, undefined), undefined);
    assert.equal(settle(dueMs + 20_000, dueMs + 15_000), undefined);
    const used = settle(dueMs + 25_000, dueMs + 15_000);
    assert.equal(used?.ca.cert, published.nextCa.cert);
    assert.equal(used?.previousCa, state.ca.cert);
    assert.ok(bundleOf(used).includes(state.ca.cert));
  });

  it("starts over when the CA has ended while nobody looked", () => {
    const state = firstState(NAMES, START_MS, TIMES);
    const next = nextState(state, NAMES, START_MS + 10 * TIMES.caMs, undefined, TIMES);
    assert.ok(next && !next.previousCa && next.ca.cert !== state.ca.cert);
  });

  it("never, at any tick of a long life, serves what the published bundle does not trust", () => {
    let state = firstState(NAMES, START_MS, TIMES);
    // What the API server trusts and what a slow replica still serves lag behind by up to 8 s.
    let trusted = bundleOf(state);
    let trustedSinceMs = START_MS;
    const served: { atMs: number; state: CertificateState }[] = [{ atMs: START_MS, state }];
    let rotations = 0;
    let checked = "";
    for (let nowMs = START_MS; nowMs < START_MS + 4 * TIMES.caMs; nowMs += 2000) {
      if (nowMs % 8000 === 0 && trusted !== bundleOf(state)) {
        trusted = bundleOf(state);
        trustedSinceMs = nowMs;
      }
      const sinceMs = trusted === bundleOf(state) ? trustedSinceMs : undefined;
      const next = nextState(state, NAMES, nowMs, sinceMs, TIMES);
      if (next) {
        if (next.ca.cert !== state.ca.cert) rotations++;
        state = next;
        served.push({ atMs: nowMs, state });
      }
      if (checked === `${trusted}${served.length}`) continue;
      const slow = served.findLast(({ atMs }) => atMs <= nowMs - 8000)?.state ?? state;
      for (const { serving } of [state, slow]) {
        const cas = trusted.split(/(?<=-----END CERTIFICATE-----\n)/).filter(Boolean);
        assert.ok(
          cas.some((ca) => isServingFor(serving, ca, NAMES)),
          new Date(nowMs).toISOString(),
        );
        assert.ok(lifetimeOf(serving.cert).untilMs > nowMs);
      }
      // Nothing changes any more until the next step: no need to verify the same again.
      if (nowMs - (served.at(-1)?.atMs ?? 0) > 8000) checked = `${trusted}${served.length}`;
    }
    assert.ok(rotations >= 4, `${rotations} rotations`);
  });
});

describe("Secret", () => {
  it("gives back what was put in", () => {
    const state = firstState(NAMES, START_MS, TIMES);
    const full = { ...state, nextCa: makeCa(lifetimeOf(state.ca.cert)), previousCa: state.ca.cert };
    assert.deepEqual(decodeState(encodeState(state)), state);
    assert.deepEqual(decodeState(encodeState(full)), full);
  });
  it("that is empty or half filled holds no state", () => {
    const data = encodeState(firstState(NAMES, START_MS, TIMES));
    assert.equal(decodeState({}), undefined);
    const { "tls.key": _, ...half } = data;
    assert.equal(decodeState(half), undefined);
  });
});

function fresh(state: CertificateState, nowMs: number) {
  return makeServing(state.ca, NAMES, { fromMs: nowMs - 1000, untilMs: nowMs + TIMES.servingMs });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  actorFor,
  CAPABILITY,
  type Identity,
  itself,
  mayGiveAway,
  parseIdentity,
  parseIdMap,
  UNCHANGED,
} from "./identity.ts";

const STATUS = `Name:\tsh
Tgid:\t6541
Pid:\t6542
Uid:\t100000\t100001\t100002\t100003
Gid:\t100010\t100011\t100012\t100013
Groups:\t100020 100021 
NSpid:\t6542\t17
CapEff:\t000001ffffffffff
`;
const MAP = "         0     100000      65536\n     70000          5          1\n";

const mapped = parseIdentity(STATUS, false, MAP, MAP);
const host = parseIdentity(STATUS.replaceAll(/1000(?=\d\d)/g, "00"), true, "", "");

test("a status in full", () => {
  assert.deepEqual(
    { ...mapped, uidMap: undefined, gidMap: undefined },
    {
      tgid: 6541,
      effectiveUid: 100001,
      effectiveGid: 100011,
      filesystemUid: 100003,
      filesystemGid: 100013,
      groups: [100020, 100021],
      capabilities: 0x1ffffffffffn,
      ofHost: false,
      uidMap: undefined,
      gidMap: undefined,
    },
  );
  assert.deepEqual(mapped.uidMap, [
    { inside: 0, outside: 100000, count: 65536 },
    { inside: 70000, outside: 5, count: 1 },
  ]);
});

test("what can't be read is the least there is", () => {
  const least = parseIdentity("Tgid:\t5\n", true, "", "");
  assert.equal(least.effectiveUid, 65534);
  assert.equal(least.filesystemGid, 65534);
  assert.equal(least.capabilities, 0n);
  assert.deepEqual(parseIdMap("nonsense\n1 2\n"), []);
});

test("capabilities of another user namespace are none on the host", () => {
  assert.equal(itself(mapped).capabilities, 0n);
  assert.equal(itself(host).capabilities, 0x1ffffffffffn);
});

test("root of a user namespace acts as the owner of what is mapped, and of nothing else", () => {
  const acting = (uid: number, gid: number, who: Identity = mapped): number =>
    actorFor(who, { uid, gid }).filesystemUid;
  assert.equal(acting(100033, 100033), 100033);
  assert.equal(acting(5, 5), 5);
  for (const [uid, gid] of [
    [0, 0],
    [0, 100000],
    [100000, 0],
    [165536, 100000],
    [99999, 100000],
  ] as const) {
    assert.equal(acting(uid, gid), 100003, `${uid}:${gid}`);
  }
  // What is not a matter of files is decided by its own ids all the same.
  assert.equal(actorFor(mapped, { uid: 100033, gid: 100033 }).effectiveUid, 100001);
  const powerless = { ...mapped, capabilities: 0n };
  assert.equal(acting(100033, 100033, powerless), 100003);
});

test("of the host, everyone acts as itself", () => {
  fc.assert(
    fc.property(fc.nat(200_000), fc.nat(200_000), (uid, gid) => {
      assert.deepEqual(actorFor(host, { uid, gid }), itself(host));
      assert.ok(!mayGiveAway(host, { uid, gid }, uid, gid));
    }),
  );
});

test("nobody but a mapped owner's namespace gives away, and to mapped ids only", () => {
  const inside = { uid: 100033, gid: 100033 };
  assert.ok(mayGiveAway(mapped, inside, 100000, 100000));
  assert.ok(mayGiveAway(mapped, inside, UNCHANGED, 100000));
  assert.ok(mayGiveAway(mapped, inside, UNCHANGED, UNCHANGED));
  assert.ok(!mayGiveAway(mapped, inside, 0, UNCHANGED));
  assert.ok(!mayGiveAway(mapped, inside, UNCHANGED, 0));
  assert.ok(!mayGiveAway(mapped, { uid: 0, gid: 100033 }, 100000, 100000));
  const without = {
    ...mapped,
    capabilities: mapped.capabilities & ~(1n << BigInt(CAPABILITY.CHOWN)),
  };
  assert.ok(!mayGiveAway(without, inside, 100000, 100000));
});

test("nobody ever acts as the host's root but the host's root", () => {
  fc.assert(
    fc.property(
      fc.nat(200_000),
      fc.nat(200_000),
      fc.array(
        fc.record({
          inside: fc.nat(9),
          outside: fc.integer({ min: 1, max: 200_000 }),
          count: fc.nat(70_000),
        }),
        { maxLength: 4 },
      ),
      (uid, gid, map) => {
        const who: Identity = { ...mapped, uidMap: map, gidMap: map };
        const actor = actorFor(who, { uid, gid });
        assert.equal(actor.capabilities, 0n);
        assert.notEqual(actor.effectiveUid, 0);
        if (uid === 0) assert.notEqual(actor.filesystemUid, 0);
      },
    ),
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Container } from "./container.ts";
import { RequestCaller } from "./request_caller.ts";

void test("a caller is looked at once in each request, and anew in the next one", () => {
  const asked: number[] = [];
  const containers = new Map([[7, {} as Container]]);
  const caller = new RequestCaller({
    resolve: (tid) => {
      asked.push(tid);
      return containers.get(tid);
    },
  });
  caller.begin();
  assert.equal(caller.resolve(7), containers.get(7));
  assert.equal(caller.resolve(7), containers.get(7));
  assert.deepEqual(asked, [7]);
  // Another thread in the same request, and one in no container.
  assert.equal(caller.resolve(8), undefined);
  assert.equal(caller.resolve(8), undefined);
  assert.deepEqual(asked, [7, 8]);
  caller.begin();
  containers.delete(7);
  assert.equal(caller.resolve(7), undefined);
  assert.deepEqual(asked, [7, 8, 7]);
});

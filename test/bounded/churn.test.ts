/** The short form of `npm run churn`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Server } from "../support/server.ts";
import { churn, growth } from "./churn.ts";

void test("containers that come and go leave nothing behind", async () => {
  const server = await Server.start();
  try {
    const churned = await churn(server, { reads: 20_000, containers: 200, atOnce: 20 });
    console.log(JSON.stringify(churned));
    assert.deepEqual(growth(churned), []);
    await server.stop();
  } finally {
    server.kill();
  }
});

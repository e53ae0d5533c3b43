import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findContainer, NameError } from "./discover.ts";
import type { FoundContainer } from "./types.ts";

const container = (runtime: string, name: string, id: string, pid: number): FoundContainer => ({
  runtime,
  name,
  id,
  pid,
});

const WEB = container("docker", "web", "3f1c9a0d2b4e5f60718293a4", 10);
const OTHER_WEB = container("lxc", "web", "web", 11);
const DB = container("podman", "db", "3f1cffffffffffffffffffff", 12);
const ALL = [WEB, OTHER_WEB, DB];

void describe("a container by what people call it", () => {
  void it("is found by name, id, beginning of the id, and with its runtime", () => {
    assert.equal(findContainer(ALL, "db"), DB);
    assert.equal(findContainer(ALL, DB.id), DB);
    assert.equal(findContainer(ALL, "3f1cf"), DB);
    assert.equal(findContainer(ALL, "docker:web"), WEB);
    assert.equal(findContainer(ALL, "lxc:web"), OTHER_WEB);
  });

  void it("is not guessed: two of a name are both told, in one line", () => {
    assert.throws(
      () => findContainer(ALL, "web"),
      (error: unknown) => {
        assert.ok(error instanceof NameError);
        assert.equal(error.reason, "ambiguous");
        assert.match(error.message, /docker:web \(3f1c9a0d2b4e\), pid 10 and lxc:web, pid 11/);
        assert.ok(!error.message.includes("\n"));
        return true;
      },
    );
    assert.throws(() => findContainer(ALL, "3f1c"), { reason: "ambiguous" });
  });

  void it("is not found by a scrap of an id, nor by the beginning of a name", () => {
    for (const name of ["3f1", "we", "", "nobody", "docker:db"]) {
      assert.throws(() => findContainer(ALL, name), { reason: "unknown" }, name);
    }
  });
});

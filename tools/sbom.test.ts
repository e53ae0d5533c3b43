import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Version } from "@cyclonedx/cyclonedx-library/Spec";
import { JsonStrictValidator } from "@cyclonedx/cyclonedx-library/Validation";
import { type Bill, named, withDebian, withNode } from "./sbom.ts";

const project = join(import.meta.dirname, "../..");

describe("the bill of materials", () => {
  // Of the lock file: what is installed here may be of another architecture.
  const npm = ["sbom", "--package-lock-only", "--omit", "dev", "--sbom-format", "cyclonedx"];
  const ofNpm = JSON.parse(execFileSync("npm", npm, { cwd: project, encoding: "utf8" })) as Bill;
  const debian = "libc6 2.36-9+deb12u10 amd64\nlibstdc++6 12.2.0-14+deb12u1 amd64\n";

  it("names this program, its dependencies, Node.js and Debian's packages", () => {
    const bill = withDebian(withNode(named(ofNpm, "1.2.3"), "22.1.0"), "bookworm", debian);
    assert.equal(bill.metadata.component.purl, "pkg:npm/lxcfs-ts@1.2.3");
    const found = new Set(bill.components.map(({ purl }) => purl));
    const { dependencies } = JSON.parse(readFileSync(join(project, "package.json"), "utf8")) as {
      dependencies: Record<string, string>;
    };
    for (const [name, version] of Object.entries(dependencies))
      assert.ok(found.has(`pkg:npm/${name.replace("@", "%40")}@${version}`), name);
    assert.ok(found.has("pkg:generic/node@22.1.0"));
    assert.ok(
      found.has("pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=bookworm"),
    );
  });

  it("is CycloneDX by its published schema", async () => {
    const bill = withDebian(withNode(named(ofNpm, "1.2.3"), "22.1.0"), "bookworm", debian);
    const validator = new JsonStrictValidator(Version.v1dot5);
    assert.equal(await validator.validate(JSON.stringify(bill)), null);
    assert.notEqual(await validator.validate(JSON.stringify({ ...bill, components: [{}] })), null);
  });
});

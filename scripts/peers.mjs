// Installs what the Rust tests ask besides PostgreSQL: a server that speaks S3, in a Python environment of its own.
//
//     node scripts/peers.mjs
//
// The versions are those of tests/it/double/s3.txt; where they are there already, nothing is done.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "target", "python");
const python = join(folder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
const wanted = join(root, "tests", "it", "double", "s3.txt");
const done = join(folder, "s3.txt");

/** Whether they are there as the list names them. */
export function peersAreThere() {
  return existsSync(python) && existsSync(done) && readFileSync(done, "utf8") === readFileSync(wanted, "utf8");
}

/** The commands that install them; the last one notes that they are there. */
export function peers() {
  return [
    { program: "python3", args: ["-m", "venv", "--clear", folder] },
    { program: python, args: ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted] },
    { program: process.execPath, args: [fileURLToPath(import.meta.url), "noted"] },
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === "noted") {
    writeFileSync(done, readFileSync(wanted));
  } else if (!peersAreThere()) {
    for (const { program, args } of peers()) {
      const { status, error } = spawnSync(program, args, { cwd: root, stdio: "inherit" });
      if (status !== 0) {
        rmSync(done, { force: true });
        console.error(`cannot run ${program} ${args.join(" ")}${error ? `: ${error.message}` : ""}`);
        process.exit(1);
      }
    }
  }
}

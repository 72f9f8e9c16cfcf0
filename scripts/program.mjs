// Builds the program and says where it is.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The program of a profile, built. `dev` is the one that the Rust tests build too. */
export function program(profile = "dev") {
  const built = ["build", "--bin", "lakeapm", "--locked", "--profile", profile, "--message-format", "json-render-diagnostics"];
  const found = spawnSync("cargo", built, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 28 });
  const messages = (found.stdout ?? "").split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const binary = messages.findLast((message) => message.executable && message.target.name === "lakeapm")?.executable;
  if (found.status !== 0 || !binary) throw new Error("the program does not build");
  return binary;
}

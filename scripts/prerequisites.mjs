// Names what this machine lacks, each with the command that installs it.
//
//     node scripts/prerequisites.mjs [run|test]
//
// `run` is enough to build and run; `test`, the default, is all that the checks need. What only one step of the tests
// needs is named and no more, unless CI=true. With CI=true and as root, what Debian has packages for is installed.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What a command prints, or null where it is missing or fails. */
function output(command, args) {
  const done = spawnSync(command, args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return done.status === 0 ? done.stdout : null;
}

/** Whether version `found` is at least `wanted`, both as 1.2.3. */
function reaches(found, wanted) {
  const [a, b] = [found, wanted].map((version) => version.split(".").map(Number));
  const differs = b.findIndex((part, nth) => part !== (a[nth] ?? 0));
  return differs < 0 || (a[differs] ?? 0) > b[differs];
}

/** The sentence that names what is wrong with a program of at least some version, or null. */
function version(found, wanted) {
  const number = found?.match(/\d+(\.\d+)+/)?.[0];
  if (number === undefined) return "not found";
  return reaches(number, wanted) ? null : `${number} found, ${wanted} or later needed`;
}

/** The first match of `pattern` in a file of the repository. */
function stated(file, pattern) {
  return readFileSync(join(root, file), "utf8").match(pattern)[1];
}

/** Compiles a program as the build does: C of the compression library, and on Linux one that is linked statically. */
function compiler() {
  // There, Rust's own installer asks for the compiler.
  if (process.platform === "win32") return null;
  const cc = process.env.CC ?? "cc";
  const folder = mkdtempSync(join(tmpdir(), "lakeapm-"));
  try {
    const source = join(folder, "main.c");
    writeFileSync(source, "#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n");
    const compiles = (...flags) => output(cc, [...flags, source, "-o", join(folder, "main")]) !== null;
    if (!compiles()) return `\`${cc}\` does not compile a program`;
    const glibc = process.platform === "linux" && process.report.getReport().header.glibcVersionRuntime !== undefined;
    return glibc && !compiles("-static-pie") ? `\`${cc} -static-pie\` does not link: the C library's static archive is missing` : null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const rust = stated("Cargo.toml", /^rust-version = "(.+)"$/m);
const rustup = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh";
const component = (name) => (output("rustup", ["--version"]) === null ? `install Rust by rustup: ${rustup}` : `rustup component add ${name}`);

// Each: its name, what it is for, the step that goes without it, what is wrong or null, and the command for it by system.
// `debian` is its package.
const PREREQUISITES = [
  {
    name: "Node.js",
    wrong: () => version(process.versions.node, stated("package.json", /"node": ">=(.+)"/)),
    command: () => "see https://nodejs.org/en/download",
  },
  {
    name: "a C compiler",
    wrong: compiler,
    debian: "build-essential",
    command: () => (process.platform === "darwin" ? "xcode-select --install" : "apt-get install build-essential (Fedora: dnf install gcc glibc-static)"),
  },
  {
    name: "git",
    for: "test",
    wrong: () => version(output("git", ["--version"]), "2.0"),
    debian: "git",
    command: () => (process.platform === "darwin" ? "xcode-select --install" : "apt-get install git (Fedora: dnf install git)"),
  },
  {
    name: "Rust",
    wrong: () => version(output("cargo", ["--version"]), rust),
    command: () => (output("rustup", ["--version"]) === null ? rustup : "rustup update stable && rustup default stable"),
  },
  {
    name: "rustfmt",
    for: "test",
    wrong: () => version(output("cargo", ["fmt", "--version"]), "1.0"),
    command: () => component("rustfmt"),
  },
  {
    name: "clippy",
    for: "test",
    wrong: () => version(output("cargo", ["clippy", "--version"]), "0.1"),
    command: () => component("clippy"),
  },
  {
    name: "Python",
    for: "test",
    wrong: () => {
      const old = version(output("python3", ["--version"]), "3.11");
      return old ?? (output("python3", ["-c", "import ensurepip, venv"]) === null ? "its module `venv` is missing" : null);
    },
    debian: "python3-venv",
    command: () => (process.platform === "darwin" ? "brew install python" : "apt-get install python3-venv (Fedora: dnf install python3)"),
  },
  {
    name: "Go",
    for: "test",
    step: "Grafana's conformance host",
    // Asked where it is used: from 1.21 on, Go fetches the version that a module asks for.
    wrong: () => version(output("go", ["-C", "tests/host", "version"])?.replace(/^go version go/, ""), stated("tests/host/go.mod", /^go (.+)$/m)),
    debian: "golang-go",
    command: () => (process.platform === "darwin" ? "brew install go" : "see https://go.dev/doc/install"),
  },
];

/** Those of `asked` that are missing, each with what is wrong. */
function missing(asked) {
  return asked.map((each) => ({ ...each, is: each.wrong() })).filter((each) => each.is !== null);
}

/** What is wrong with a prerequisite and the command for it, or null where it is there. */
export function absent(name) {
  return missing(PREREQUISITES.filter((each) => each.name === name))[0] ?? null;
}

/** Names what is missing for a purpose; whether everything that it cannot go without is there. */
function prepare(purpose) {
  const ci = process.env.CI === "true";
  let lacking = missing(PREREQUISITES.filter((each) => purpose === "test" || each.for !== "test"));
  const packages = lacking.flatMap((each) => each.debian ?? []);
  const may = ci && process.platform === "linux" && process.getuid() === 0;
  if (packages.length > 0 && may && output("apt-get", ["--version"]) !== null) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    for (const args of [["update"], ["install", "--yes", "--no-install-recommends", ...packages]]) {
      console.log(`> apt-get ${args.join(" ")}`);
      spawnSync("apt-get", args, { stdio: "inherit", env });
    }
    lacking = missing(lacking);
  }
  for (const each of lacking) {
    const without = each.step && !ci ? `\n         without it this is not run: ${each.step}` : "";
    console.error(`missing: ${each.name} (${each.is})\n         ${each.command()}${without}`);
  }
  return lacking.every((each) => each.step && !ci);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = prepare(process.argv[2] ?? "test") ? 0 : 1;
}

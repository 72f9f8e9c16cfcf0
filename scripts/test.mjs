// Runs what proves the project, step by step, and says how it went.
//
//     node scripts/test.mjs [step …]
//
// All steps are run whatever happens to the ones before, so that one run tells all that is wrong. The last line is
// `N passed, N failed`: every test counts as one, and so does every other step. A step whose tool is missing is not run,
// which is said at the end again; in continuous integration (CI=true) it has failed. The end-to-end tests are run where
// GRAFANA_URL says where a Grafana is.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { peers, peersAreThere } from "./peers.mjs";
import { absent } from "./prerequisites.mjs";
import { program } from "./program.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const npm = process.platform === "win32" ? "npm.cmd" : "npm";

// All with the profile, target and flags of `cargo run`. `clippy` comes first because `doc` needs the same metadata of
// the dependencies, and because its messages are the ones to read before a failing build's.
const STEPS = [
  { name: "fmt", title: "Formatting", args: ["fmt", "--check"] },
  { name: "clippy", title: "Lints", args: ["clippy", "--all-targets", "--", "-D", "warnings"] },
  {
    name: "doc",
    title: "Documentation",
    args: ["doc", "--no-deps", "--document-private-items"],
    env: { RUSTDOCFLAGS: "-D warnings" },
  },
  { name: "test", title: "Tests", commands: rust, counts: true },
  { name: "sqlglot", title: "Redshift's goldens in another parser", needs: "Python", commands: sqlglot },
  { name: "host", title: "Grafana's conformance host", needs: "Go", commands: host, counts: true },
  { name: "frontend", title: "The frontend, the dashboards and the alert rules", commands: frontend },
  {
    name: "e2e",
    title: "End-to-end tests in a Grafana",
    lacks: () => (process.env.GRAFANA_URL ? undefined : "GRAFANA_URL, the address of a Grafana with LakeAPM, is not set"),
    commands: () => [{ program: npm, args: ["run", "e2e"], cwd: join(root, "frontend") }],
  },
];

/** Whether the packages of the root are there as `package-lock.json` names them. */
function installed() {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  return Object.entries(packages).every(([path, { version, os = [process.platform], cpu = [process.arch] }]) => {
    const file = join(root, path, "package.json");
    const elsewhere = !os.includes(process.platform) || !cpu.includes(process.arch);
    return path === "" || elsewhere || (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).version === version);
  });
}

/** The Rust tests, with the PostgreSQL and the S3 they ask. */
function rust() {
  const postgres = installed() ? [] : [{ program: npm, args: ["ci", "--no-audit", "--no-fund"] }];
  const s3 = peersAreThere() ? [] : peers();
  return [...postgres, ...s3, { program: "cargo", args: ["test", "--no-fail-fast"] }];
}

/** Redshift's goldens in sqlglot, in a Python environment that holds nothing else. */
function sqlglot() {
  const folder = join(mkdtempSync(join(tmpdir(), "lakeapm-")), "python");
  const python = join(folder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  return [
    { program: "python3", args: ["-m", "venv", folder] },
    { program: python, args: ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "sqlglot==30.30.0"] },
    { program: python, args: ["tests/sqlglot_check.py"] },
  ];
}

/** The frontend's own checks, that the plugin can be packed, and that every target of every dashboard and every alert rule
 *  answers from a demo. */
function frontend() {
  const [cwd, binary] = [join(root, "frontend"), program()];
  const folder = mkdtempSync(join(tmpdir(), "lakeapm-"));
  const history = join(folder, "demo");
  return [
    { program: npm, args: ["ci", "--no-audit", "--no-fund"], cwd },
    ...["typecheck", "lint", "test", "build"].map((name) => ({ program: npm, args: ["run", name], cwd })),
    { program: npm, args: ["run", "package", "--", "--program", binary, "--out", folder], cwd },
    { program: binary, args: ["demo", "--dir", history, "--queries", "20000", "--days", "15", "--now", "2026-11-20T12:00:00Z"] },
    { program: npm, args: ["run", "targets", "--", "--lakeapm", binary, "--history", history], cwd },
  ];
}

/** The commands of the host: Go's own checks, then the program, as Grafana runs it. */
function host() {
  const binary = program();
  const host = join(root, "target", process.platform === "win32" ? "host.exe" : "host");
  const folder = join(root, "tests", "host");
  return [
    { program: "gofmt", args: ["-l", "-d", "."], cwd: folder, silent: true },
    { program: "go", args: ["vet", "./..."], cwd: folder },
    { program: "go", args: ["build", "-o", host, "."], cwd: folder },
    { program: host, args: ["check", binary, "--readme", "README.md"] },
  ];
}

/** Runs a command, shows what it prints, and counts the tests it tells of. */
function command({ program, args, cwd = root, env, silent }, counts) {
  return new Promise((resolve) => {
    const stdio = ["ignore", counts || silent ? "pipe" : "inherit", "inherit"];
    const child = spawn(program, args, { cwd, stdio, env: { ...process.env, ...env } });
    let [passed, failed, rest, printed] = [0, 0, "", false];
    child.stdout?.setEncoding("utf8").on("data", (text) => {
      process.stdout.write(text);
      printed = true;
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const result = line.match(/^test result: .*?(\d+) passed; (\d+) failed;/);
        if (result) [passed, failed] = [passed + Number(result[1]), failed + Number(result[2])];
      }
    });
    let ended = false;
    const end = (ok, cause) => {
      if (ended) return;
      ended = true;
      if (cause) console.error(cause);
      resolve({ ok: ok && !(silent && printed), passed, failed });
    };
    child.on("error", (error) => end(false, `cannot run ${program}: ${error.message}`));
    child.on("close", (code, signal) => end(code === 0, signal && `${program} was ended by ${signal}`));
  });
}

/** Runs a step: its commands, until one fails. */
async function run(step) {
  const started = performance.now();
  let [ok, passed, failed] = [true, 0, 0];
  try {
    const commands = step.commands?.() ?? [{ program: "cargo", args: step.args, env: step.env }];
    for (const each of commands) {
      const done = await command(each, step.counts);
      [ok, passed, failed] = [done.ok, passed + done.passed, failed + done.failed];
      if (!ok) break;
    }
  } catch (error) {
    console.error(error.message);
    ok = false;
  }
  // A step that fails without a failed test, such as by not compiling, is one failure.
  if (!step.counts && ok) passed = 1;
  if (!ok && failed === 0) failed = 1;
  return { ...step, ok, passed, failed, seconds: (performance.now() - started) / 1000 };
}

/** `3 min 5 s`. */
function time(seconds) {
  const whole = Math.round(seconds);
  return whole < 120 ? `${seconds < 10 ? seconds.toFixed(1) : whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

const asked = process.argv.slice(2);
const unknown = asked.find((name) => !STEPS.some((step) => step.name === name));
if (unknown !== undefined) {
  console.error(`no step is called \`${unknown}\`; the steps are ${STEPS.map((step) => step.name).join(", ")}`);
  process.exit(2);
}

const done = [];
for (const step of STEPS.filter((each) => asked.length === 0 || asked.includes(each.name))) {
  const unset = step.lacks?.();
  if (unset) {
    console.error(`\n== ${step.title}: NOT RUN, because ${unset}`);
    // Who asks for it by name is told that it has not passed.
    const named = asked.includes(step.name);
    done.push({ ...step, ok: !named, skipped: unset, passed: 0, failed: named ? 1 : 0, seconds: 0 });
    continue;
  }
  const lacks = step.needs && absent(step.needs);
  if (lacks) {
    const must = process.env.CI === "true";
    console.error(`\n== ${step.title}: NOT RUN, because ${step.needs} is missing: ${lacks.is}\n   ${lacks.command()}`);
    done.push({ ...step, ok: !must, skipped: !must && `${step.needs} is missing`, passed: 0, failed: must ? 1 : 0, seconds: 0 });
    continue;
  }
  const said = step.args ? `: ${Object.entries(step.env ?? {}).map(([key, value]) => `${key}="${value}" `).join("")}cargo ${step.args.join(" ")}` : "";
  console.log(`\n== ${step.title}${said}`);
  const result = await run(step);
  console.log(`== ${step.title}: ${result.ok ? "passed" : "FAILED"} in ${time(result.seconds)}`);
  done.push(result);
}

console.log("\n== Summary");
for (const step of done) {
  const tests = step.counts && !step.skipped ? `, ${step.passed} passed, ${step.failed} failed` : "";
  console.log(`${step.skipped ? "NOT RUN" : step.ok ? "passed" : "FAILED"}  ${step.title}${step.skipped ? `: ${step.skipped}` : `${tests}, ${time(step.seconds)}`}`);
}
const sum = (key) => done.reduce((total, step) => total + step[key], 0);
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed`);
process.exitCode = done.every((step) => step.ok) ? 0 : 1;

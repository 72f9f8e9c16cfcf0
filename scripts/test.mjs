// Runs what proves the project, step by step, and says how it went.
//
//     node scripts/test.mjs [step …]
//
// All steps are run whatever happens to the ones before, so that one run tells all that is wrong. The last line is
// `N passed, N failed`: every test counts as one, and so does every other step.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

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
  { name: "test", title: "Tests", args: ["test", "--no-fail-fast"], counts: true },
];

/** Runs a step, shows what it prints, and counts. */
function run(step) {
  return new Promise((resolve) => {
    const started = performance.now();
    const stdio = ["ignore", step.counts ? "pipe" : "inherit", "inherit"];
    const child = spawn("cargo", step.args, { cwd: root, stdio, env: { ...process.env, ...step.env } });
    let [passed, failed, rest] = [0, 0, ""];
    child.stdout?.setEncoding("utf8").on("data", (text) => {
      process.stdout.write(text);
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const counts = line.match(/^test result: .*?(\d+) passed; (\d+) failed;/);
        if (counts) [passed, failed] = [passed + Number(counts[1]), failed + Number(counts[2])];
      }
    });
    let ended = false;
    const end = (ok, cause) => {
      if (ended) return;
      ended = true;
      if (cause) console.error(cause);
      // A step that fails without a failed test, such as by not compiling, is one failure.
      if (!step.counts && ok) passed = 1;
      if (!ok && failed === 0) failed = 1;
      resolve({ ...step, ok, passed, failed, seconds: (performance.now() - started) / 1000 });
    };
    child.on("error", (error) => end(false, `cannot run cargo: ${error.message}`));
    child.on("close", (code, signal) => end(code === 0, signal && `cargo was ended by ${signal}`));
  });
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
  console.log(`\n== ${step.title}: ${Object.entries(step.env ?? {}).map(([key, value]) => `${key}="${value}" `).join("")}cargo ${step.args.join(" ")}`);
  const result = await run(step);
  console.log(`== ${step.title}: ${result.ok ? "passed" : "FAILED"} in ${time(result.seconds)}`);
  done.push(result);
}

console.log("\n== Summary");
for (const step of done) {
  const tests = step.counts ? `, ${step.passed} passed, ${step.failed} failed` : "";
  console.log(`${step.ok ? "passed" : "FAILED"}  ${step.title}${tests}, ${time(step.seconds)}`);
}
const sum = (key) => done.reduce((total, step) => total + step[key], 0);
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed`);
process.exitCode = done.every((step) => step.ok) ? 0 : 1;

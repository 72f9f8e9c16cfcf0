// Asks every target of every dashboard and alert rule, and fails on one that answers nothing.
//
//     node scripts/targets.mjs [--lakeapm PROGRAM] [--history FOLDER] [--backend] [name …]
//
// The command line is asked, or with `--backend` the backend, as Grafana asks it.
//
// The program is the newest built one and the history the demo's, unless they are named; `name` is a part of the file's.
// Variables are replaced by the code that the browser runs, with the values that a dashboard is saved with.

import { execFile } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { transformSync } from '@swc/core';
import { tableFromIPC } from 'apache-arrow';
import { parse } from 'yaml';

import { start } from './backend.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

const { values: options, positionals: names } = parseArgs({
  options: { lakeapm: { type: 'string' }, history: { type: 'string', default: join(root, 'demo-history') }, backend: { type: 'boolean', default: false } },
  allowPositionals: true,
});

/** The newest `lakeapm` that cargo built. */
function built() {
  const target = join(root, 'target');
  const folders = existsSync(target) ? [target, ...readdirSync(target).map((name) => join(target, name))] : [];
  return folders
    .flatMap((folder) => ['debug', 'release'].map((profile) => join(folder, profile, 'lakeapm')))
    .filter((path) => existsSync(path))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
}

const program = options.lakeapm ?? built();
if (!program || !existsSync(options.history)) {
  console.error(program ? `no history in ${options.history}: npm run demo` : 'no program: cargo build');
  process.exit(2);
}

const source = readFileSync(new URL('../src/text/variables.ts', import.meta.url), 'utf8');
const { code } = transformSync(source, { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' } });
const { replaceVariables } = await import(`data:text/javascript,${encodeURIComponent(code)}`);

/** What the command line answers; its sentence where it does not. */
function ask(query, from, to, every) {
  const args = ['query', query, '--history', options.history, '--from', from, '--to', to, '--format', 'json'];
  if (every) args.push('--every', every);
  return new Promise((resolve) => {
    execFile(program, args, { maxBuffer: 1 << 28, encoding: 'utf8' }, (error, out, err) =>
      resolve(error ? { error: err.trim() || error.message } : JSON.parse(out))
    );
  });
}

/** What the backend answers, in the form of the command line's. */
async function askBackend(backend, query, from, to, rule) {
  const { frames, error } = await backend.query({ ...query, mode: 'auto', timezone: 'UTC', schemaVersion: 1 }, instant(from), instant(to), { alert: rule });
  if (error) return { error };
  // Each frame is one row: the first figure it has, or that it has rows.
  const tables = frames.map((frame) => tableFromIPC(frame)).filter(({ numRows }) => numRows > 0);
  const rows = tables.map((table) => {
    const figures = table.schema.fields.flatMap(({ type }, nth) => (/Float|Int/.test(String(type)) ? [nth] : []));
    const values = figures.flatMap((nth) => Array.from(table.getChildAt(nth)));
    return [figures.length === 0 ? true : (values.find((value) => value !== null) ?? null)];
  });
  const columns = [{ type: 'number' }];
  return { columns, rows };
}

/** The clock of the history; the demo may have stopped its own. */
function now() {
  const about = join(options.history, 'lakeapm.json');
  const kept = existsSync(about) ? JSON.parse(readFileSync(about, 'utf8')).demo?.now : undefined;
  return kept ? Date.parse(kept) : Date.now();
}

/** `now`, `now-7d` and `now-3600s` as milliseconds. */
function instant(text) {
  const [, count = '0', unit = 's'] = text.match(/^now(?:-(\d+)([smhd]))?$/);
  return now() - Number(count) * { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[unit];
}

/** Grafana's variables with these values. */
function templates(values) {
  const pattern = /\$\{(\w+)(?::(\w+))?\}|\$(\w+)/g;
  return {
    getVariables: () => Object.entries(values).map(([name, value]) => ({ name, current: { value } })),
    replace: (text, _scoped, format) =>
      text.replace(pattern, (found, braced, own, plain) => {
        const value = values[braced ?? plain];
        return value === undefined ? found : typeof format === 'function' && !own ? format(value) : String(value);
      }),
  };
}

/** The values of a dashboard's variables; one that is saved without a value takes the first there is. */
async function valuesOf(dashboard) {
  const values = {};
  for (const variable of dashboard.templating.list.filter(({ type }) => type !== 'datasource')) {
    let value = variable.current?.value ?? '';
    if (value === '') {
      const query = variable.query?.query ?? "list queries where status = 'success' and queue is not null and rows_read > 0 order by latency desc limit 1";
      const answer = await ask(replaceVariables(query, templates(values)).text, dashboard.time.from, dashboard.time.to);
      const column = variable.query?.query ? 0 : answer.columns?.findIndex(({ name }) => name === variable.name);
      value = answer.rows?.[0]?.[column] ?? '';
    }
    values[variable.name] = value;
  }
  return values;
}

/** Whether a panel would show something: a row, and of figures one that is not null. */
function empty({ rows, columns }) {
  const figures = columns.flatMap(({ type, unit }, nth) => (type === 'number' || (type === 'integer' && unit) ? [nth] : []));
  return rows.length === 0 || (figures.length > 0 && !rows.some((row) => figures.some((nth) => row[nth] !== null)));
}

const wanted = (name) => names.length === 0 || names.some((each) => name.includes(each));
const questions = [];
for (const file of readdirSync(join(root, 'dashboards')).filter((name) => name.endsWith('.json') && wanted(name))) {
  const dashboard = JSON.parse(readFileSync(join(root, 'dashboards', file), 'utf8'));
  const values = templates(await valuesOf(dashboard));
  const { from, to } = dashboard.time;
  for (const variable of dashboard.templating.list.filter(({ query }) => query?.query)) {
    questions.push({ where: `${file}: variable ${variable.name}`, query: replaceVariables(variable.query.query, values).text, from, to, format: 'table' });
  }
  for (const panel of dashboard.panels) {
    for (const target of panel.targets ?? []) {
      const query = replaceVariables(target.query, values).text;
      const every = target.format === 'time_series' && !/ every /.test(query) ? '1h' : undefined;
      questions.push({ where: `${file}: ${panel.title}, ${target.refId}`, query, from, to, every, format: target.format });
    }
  }
}
const folder = join(root, 'provisioning/alerting');
for (const file of existsSync(folder) ? readdirSync(folder).filter(wanted) : []) {
  for (const rule of (parse(readFileSync(join(folder, file), 'utf8')).groups ?? []).flatMap(({ rules }) => rules)) {
    for (const { model, relativeTimeRange, datasourceUid } of rule.data.filter(({ datasourceUid }) => datasourceUid !== '__expr__')) {
      void datasourceUid;
      const [from, to] = [relativeTimeRange.from, relativeTimeRange.to].map((seconds) => (seconds ? `now-${seconds}s` : 'now'));
      questions.push({ where: `${file}: ${rule.title}`, query: model.query, from, to, format: model.format, rule: true });
    }
  }
}

const backend = options.backend ? await start(program, options.history) : undefined;
let failed = 0;
const next = questions.values();
await Promise.all(
  cpus().map(async () => {
    for (const { where, query, from, to, every, format, rule } of next) {
      const answer = backend ? await askBackend(backend, { query, format }, from, to, rule) : await ask(query, from, to, every);
      const problem = answer.error ?? (empty(answer) ? 'nothing was answered' : undefined);
      if (problem) {
        failed += 1;
        console.log(`FAILED  ${where}\n        ${query}\n        ${problem}`);
      }
    }
  })
);
backend?.stop();
console.log(`${questions.length - failed} passed, ${failed} failed`);
process.exitCode = failed || questions.length === 0 ? 1 : 0;

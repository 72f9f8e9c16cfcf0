// Packs the built frontend and the backend's programs into the zip that Grafana installs.
//
//     node scripts/package.mjs [--program FILE | --program SYSTEM_ARCH=FILE …] [--out FOLDER]
//
// Without a program that of this machine is built, as a release. The same commit and programs make the same zip.

import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, createWriteStream, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import yazl from 'yazl';

import { program } from '../../scripts/program.mjs';

const frontend = fileURLToPath(new URL('..', import.meta.url));
const dist = join(frontend, 'dist');

// Grafana's words for systems and processors are Go's.
const SYSTEMS = { linux: 'linux', darwin: 'darwin', win32: 'windows' };
const PROCESSORS = { x64: 'amd64', arm64: 'arm64' };
const KNOWN = Object.values(SYSTEMS).flatMap((system) => Object.values(PROCESSORS).map((processor) => `${system}_${processor}`));

function fail(sentence) {
  console.error(sentence);
  process.exit(2);
}

/** Every file of a folder, in order. */
function files(folder) {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => (entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)]));
}

/** What a plugin must hold before Grafana and its validator take it. */
function missing(plugin, programs) {
  const needed = ['module.js', 'plugin.json', 'README.md', 'CHANGELOG.md', 'LICENSE', plugin.info.logos.small, plugin.info.logos.large];
  const named = [...plugin.includes, ...plugin.info.screenshots].map((each) => each.path);
  return [...needed, ...named, ...programs].filter((name) => !existsSync(join(dist, name)));
}

const { values } = parseArgs({ options: { program: { type: 'string', multiple: true }, out: { type: 'string' } } });
if (!existsSync(join(dist, 'plugin.json'))) fail('the frontend is not built; npm run build does it');
const plugin = JSON.parse(readFileSync(join(dist, 'plugin.json'), 'utf8'));

const here = `${SYSTEMS[process.platform]}_${PROCESSORS[process.arch]}`;
const given = values.program ?? [program('release')];
const programs = given.map((text) => {
  const [, system, file] = text.match(/^([a-z]+_[a-z0-9]+)=(.+)$/) ?? [null, here, text];
  if (!KNOWN.includes(system)) fail(`found the system \`${system}\`, expected one of ${KNOWN.join(', ')}`);
  if (!existsSync(file)) fail(`there is no program ${file}`);
  return { name: `${plugin.executable}_${system}${system.startsWith('windows') ? '.exe' : ''}`, file: resolve(file) };
});
readdirSync(dist).filter((name) => name.startsWith(plugin.executable)).forEach((name) => rmSync(join(dist, name)));
for (const { name, file } of programs) {
  copyFileSync(file, join(dist, name));
  chmodSync(join(dist, name), 0o755);
}
const lacking = missing(plugin, programs.map(({ name }) => name));
if (lacking.length > 0) fail(`the plugin lacks ${lacking.join(', ')}`);

const out = resolve(values.out ?? join(frontend, '..', 'target'));
mkdirSync(out, { recursive: true });
const path = join(out, `${plugin.id}-${plugin.info.version}.zip`);
const zip = new yazl.ZipFile();
// A zip's times have no zone; the day of the build, which is that of the commit, is the same everywhere.
const mtime = new Date(`${plugin.info.updated}T12:00:00`);
for (const file of files(dist)) {
  const name = relative(dist, file).split(sep).join('/');
  const mode = name.startsWith(plugin.executable) ? 0o100755 : 0o100644;
  zip.addFile(file, `${plugin.id}/${name}`, { mode, mtime });
}
zip.end();
await pipeline(zip.outputStream, createWriteStream(path));
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
for (const { name } of programs) console.log(`${name}: ${megabytes(statSync(join(dist, name)).size)}`);
const sum = createHash('sha256').update(readFileSync(path)).digest('hex');
console.log(`${relative(process.cwd(), path)}: ${megabytes(statSync(path).size)}, sha256 ${sum}`);

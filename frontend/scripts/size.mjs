// Fails when what a browser loads of the plugin is larger than it may be.

import { readFileSync, readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const LIMIT = 300_000;

const folder = new URL('../dist/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.js'));
let all = 0;
for (const name of files) {
  const size = gzipSync(readFileSync(new URL(name, folder))).length;
  all += size;
  console.log(`${(size / 1000).toFixed(1).padStart(8)} kB  ${name}`);
}
console.log(`${(all / 1000).toFixed(1).padStart(8)} kB  all of it, gzipped; at most ${LIMIT / 1000} kB`);
process.exitCode = all > LIMIT ? 1 : 0;

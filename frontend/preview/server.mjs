// Serves the page of the editors, and the resources of the real backend behind it.
//
//     node preview/server.mjs PROGRAM [HISTORY]

import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { start } from '../scripts/backend.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html', '.svg': 'image/svg+xml', '.ttf': 'font/ttf' };
const PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>LakeAPM</title><body><div id="root"></div><script src="/page.js"></script></body></html>';

/** The page's server: its address, and a way to end it. */
export async function serve(program, history) {
  const backend = await start(program, history);
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    const path = url.pathname.match(/^\/api\/datasources\/uid\/[^/]+\/resources\/(.*)$/)?.[1];
    if (path === undefined) {
      // Grafana's own icons are not in its packages; a ring shows where one would be.
      if (url.pathname.endsWith('.svg')) {
        response.writeHead(200, { 'Content-Type': 'image/svg+xml' });
        response.end('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="7" fill="none" stroke="currentColor" stroke-width="2"/></svg>');
        return;
      }
      const file = join(here, 'dist', url.pathname);
      const known = url.pathname !== '/' && existsSync(file);
      response.writeHead(known || url.pathname === '/' ? 200 : 404, { 'Content-Type': known ? (TYPES[extname(file)] ?? 'application/octet-stream') : 'text/html' });
      response.end(known ? readFileSync(file) : url.pathname === '/' ? PAGE : '');
      return;
    }
    const body = [];
    for await (const part of request) body.push(part);
    try {
      const { code, body: answer } = await backend.resource(path, request.method, path + url.search, Buffer.concat(body));
      response.writeHead(code, { 'Content-Type': 'application/json' });
      response.end(answer);
    } catch (error) {
      response.writeHead(502, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ message: error.details ?? error.message }));
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    server.close();
    backend.stop();
  };
  return { address: `http://127.0.0.1:${server.address().port}`, stop };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { address } = await serve(process.argv[2], process.argv[3]);
  console.log(address);
}

// Prints what the built lab extension and the widget weigh, and fails when the extension's eager
// part or the widget is over its budget.
// Eager: the entry and the chunks that the entry's module `./extension` and `./style` need.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const BUDGET_BYTES = 60 * 1024;
const WIDGET_BUDGET_BYTES = 40 * 1024;
const PACKAGE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../mellea_jupyter');
const FOLDER = path.join(PACKAGE, 'labextension/static');

const files = readdirSync(FOLDER).filter(name => name.endsWith('.js'));
const text = Object.fromEntries(
  files.map(name => [name, readFileSync(path.join(FOLDER, name), 'utf8')])
);
const entry = files.find(name => name.startsWith('remoteEntry'));

/** Chunk ids named by the exposed modules of the entry: `./extension": () => Promise.all([e(1), …`. */
function exposedChunks() {
  const begin = text[entry].indexOf('./extension');
  const stretch = text[entry].slice(begin, begin + 1200);
  return new Set([...stretch.matchAll(/\be\((["']?)([\w-]+)\1\)/g)].map(match => match[2]));
}

const exposed = exposedChunks();
const isEager = name => name === entry || exposed.has(name.split('.')[0]);
let eager = 0;
for (const name of files.sort()) {
  const bytes = gzipSync(text[name]).length;
  eager += isEager(name) ? bytes : 0;
  console.log(`${String(bytes).padStart(8)} B gzip  ${isEager(name) ? 'eager' : 'lazy '}  ${name}`);
}
console.log(
  `${String(eager).padStart(8)} B gzip  entry and eager chunks, budget ${BUDGET_BYTES} B`
);

let widget = 0;
for (const name of ['widget.js', 'widget.css']) {
  const bytes = gzipSync(readFileSync(path.join(PACKAGE, 'widgets/static', name))).length;
  widget += bytes;
  console.log(`${String(bytes).padStart(8)} B gzip  widget ${name}`);
}
const second = gzipSync(readFileSync(path.join(PACKAGE, 'widgets/static/loops.js'))).length;
console.log(`${String(second).padStart(8)} B gzip  widget loops.js, sent when it is asked for`);
console.log(`${String(widget).padStart(8)} B gzip  widget, budget ${WIDGET_BUDGET_BYTES} B`);
if (eager > BUDGET_BYTES || widget > WIDGET_BUDGET_BYTES) {
  process.exit(1);
}

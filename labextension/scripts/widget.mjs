// Builds the anywidget: one file of script and one of style, into the Python package, and a second
// script that the kernel sends when it is asked for. React is preact here, a sixth of its size: the
// first script travels through the kernel with each widget.

import { build } from 'esbuild';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { minify } from 'terser';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const options = {
  absWorkingDir: ROOT,
  outdir: '../mellea_jupyter/widgets/static',
  bundle: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  minify: !process.argv.includes('--development'),
  define: { 'process.env.NODE_ENV': '"production"' },
  alias: {
    react: 'preact/compat',
    'react-dom/client': 'preact/compat/client',
    'react-dom': 'preact/compat',
    'react/jsx-runtime': 'preact/jsx-runtime',
    '@lumino/signaling': './src/widget/signaling.ts'
  },
  legalComments: 'none',
  metafile: true
};
const results = [
  await build({
    ...options,
    entryPoints: [
      { in: 'src/widget/index.ts', out: 'widget' },
      { in: 'style/widget.css', out: 'widget' }
    ]
  }),
  await build({
    ...options,
    entryPoints: [{ in: 'src/widget/loops.ts', out: 'loops' }],
    loader: { '.css': 'text' }
  })
];

// It has to work where there is no JupyterLab.
const foreign = results
  .flatMap(result => Object.keys(result.metafile.inputs))
  .filter(name => /@(jupyterlab|lumino)\//.test(name));
if (foreign.length > 0) {
  console.error(`The widget must not import JupyterLab or Lumino: ${foreign.join(', ')}`);
  process.exit(1);
}

// A second minifier: terser leaves 3 % less of what esbuild has made.
if (options.minify) {
  for (const name of ['widget.js', 'loops.js']) {
    const file = path.join(ROOT, options.outdir, name);
    const { code } = await minify(await readFile(file, 'utf8'), {
      module: true,
      ecma: 2022,
      compress: { passes: 3 }
    });
    await writeFile(file, code);
  }
}

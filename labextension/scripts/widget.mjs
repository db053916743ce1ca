// Builds the anywidget: one file of script and one of style, into the Python package. React is
// preact here, a sixth of its size: the file travels through the kernel with each widget.

import { build } from 'esbuild';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const result = await build({
  absWorkingDir: ROOT,
  entryPoints: [
    { in: 'src/widget/index.ts', out: 'widget' },
    { in: 'style/widget.css', out: 'widget' }
  ],
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
});

// It has to work where there is no JupyterLab.
const foreign = Object.keys(result.metafile.inputs).filter(name =>
  /@(jupyterlab|lumino)\//.test(name)
);
if (foreign.length > 0) {
  console.error(`The widget must not import JupyterLab or Lumino: ${foreign.join(', ')}`);
  process.exit(1);
}
